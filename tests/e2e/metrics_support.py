"""Reads Prometheus' text format, and runs a real Prometheus where one is installed."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
READY_TIMEOUT_S = 60.0  # a hang guard


def get(url: str, **headers: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30.0) as response:
        return response.read().decode()


class Samples:
    """The samples of one scrape."""

    def __init__(self, text: str):
        self._values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                match = SAMPLE.match(line)
                assert match, line
                self._values[match[1], frozenset(LABEL.findall(match[2] or ""))] = float(match[3])

    def __call__(self, name: str, **labels: str) -> float:
        """The one sample of this name that has (at least) these labels."""
        wanted = set(labels.items())
        found = [value for (other, has), value in self._values.items() if other == name and wanted <= has]
        assert len(found) == 1, f"{name}{labels}: {len(found)} samples"
        return found[0]


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed; tools/setup monitoring-packages installs it")
    return path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Prometheus:
    """A Prometheus that scrapes one server each second; use as a context manager."""

    def __init__(self, folder: Path, target: str):
        config = folder / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\n"
            "scrape_configs:\n"
            "  - job_name: mlx-serving\n"
            f"    static_configs: [{{targets: ['{target.removeprefix('http://')}']}}]\n"
        )
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = (folder / "prometheus.log").open("w")
        self._process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def query(self, expression: str) -> list[dict]:
        """The instant vector of an expression; fails where Prometheus refuses it."""
        answer = json.loads(get(f"{self.url}/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def wait_until(self, expression: str) -> list[dict]:
        """Waits until an expression has an answer."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                if result := self.query(expression):
                    return result
            except (urllib.error.URLError, ConnectionError):
                assert self._process.poll() is None, "prometheus ended"
            time.sleep(0.2)
        pytest.fail(f"{expression} has no answer after {READY_TIMEOUT_S} s")

    def __enter__(self) -> Prometheus:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()
