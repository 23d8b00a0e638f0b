"""A server process on the default model for the whole session, and an official client of it.

MLX_SERVING_BINARY names the program; without it, the release build of this checkout is used.
"""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest

ROOT = Path(__file__).resolve().parents[2]
READY_LINE = re.compile(r"^ready (http://\S+)$")
START_TIMEOUT_S = 180.0  # a hang guard; loading takes seconds
STOP_TIMEOUT_S = 60.0
CASE_TIMEOUT_S = 300  # a hang guard of one test


def binary() -> Path:
    path = Path(os.environ.get("MLX_SERVING_BINARY", ROOT / "build" / "release" / "mlx-serving"))
    if not path.is_file():
        pytest.fail(f"{path} is missing: run `make build`, or set MLX_SERVING_BINARY")
    return path


@dataclass
class ServerProcess:
    process: subprocess.Popen[str]
    url: str

    def get(self, path: str) -> dict[str, object]:
        """Raises for every status but 200."""
        with urllib.request.urlopen(self.url + path, timeout=10.0) as response:
            return json.load(response)

    def post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        """Raises for every status but 200."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60.0) as response:
            return json.load(response)

    def health(self) -> dict[str, object]:
        return self.get("/health")

    def wait_until_idle(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            health = self.health()
            if health["num_running"] == 0 and health["num_waiting"] == 0:
                return
            time.sleep(0.05)
        pytest.fail(f"the engine still has work after {timeout_s} s: {self.health()}")


def read_lines(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line.rstrip("\n"))
    lines.put(None)


def wait_until_ready(lines: queue.Queue[str | None]) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    seen: list[str] = []
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            pytest.fail(f"the server was not ready after {START_TIMEOUT_S} s; it printed {seen}")
        if line is None:
            pytest.fail(f"the server ended before it was ready; it printed {seen}")
        seen.append(line)
        if match := READY_LINE.match(line):
            return match.group(1)


def stop(process: subprocess.Popen[str]) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        pytest.fail(f"the server did not end within {STOP_TIMEOUT_S} s of SIGTERM")


def start_server(log_path: Path, *arguments: str) -> ServerProcess:
    with log_path.open("w") as log:
        process = subprocess.Popen(
            [str(binary()), "serve", *arguments, "--port", "0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=read_lines, args=(process, lines), daemon=True).start()
    try:
        return ServerProcess(process, wait_until_ready(lines))
    except BaseException:
        process.kill()
        process.wait()
        raise


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    log_path = tmp_path_factory.mktemp("server") / "stderr.log"
    running = start_server(log_path)
    try:
        yield running
    finally:
        exit_code = stop(running.process)
    assert exit_code == 0, log_path.read_text()[-4000:]


@pytest.fixture(scope="session")
def client(server: ServerProcess) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0, timeout=120.0)


@pytest.fixture(scope="session")
def model(client: openai.OpenAI) -> str:
    return client.models.list().data[0].id


@pytest.fixture(autouse=True)
def hang_guard() -> Iterator[None]:
    def give_up(signum: int, frame: object) -> None:
        raise TimeoutError(f"the test ran longer than {CASE_TIMEOUT_S} s")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(CASE_TIMEOUT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
