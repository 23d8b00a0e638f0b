"""Runs the program `mlx-serving` as a user would: as a process, with its own environment."""

import contextlib
import json
import os
import pathlib
import queue
import subprocess
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("MLX_SERVING_BINARY", str(ROOT / "build" / "release" / "mlx-serving"))

# Guards against a hang; no test says anything of speed through them.
RUN_TIMEOUT_S = 300
READY_TIMEOUT_S = 180


def default_home() -> pathlib.Path:
    return pathlib.Path(os.environ.get("MLX_SERVING_HOME") or pathlib.Path.home() / ".cache" / "mlx-serving")


def default_model() -> pathlib.Path:
    return default_home() / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"


def environment(**variables: str) -> dict[str, str]:
    """The process's environment without settings of its own, and `variables`."""
    kept = {"MLX_SERVING_HOME", "MLX_SERVING_DEVICE"}
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MLX_SERVING_") or k in kept}
    return clean | variables


def run(*args: str, stdin: str | bytes = "", **variables: str) -> subprocess.CompletedProcess:
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [BINARY, *args],
        input=data,
        capture_output=True,
        timeout=RUN_TIMEOUT_S,
        env=environment(**variables),
        check=False,
    )
    done.stdout = done.stdout.decode()
    done.stderr = done.stderr.decode()
    return done


def run_json(*args: str, **variables: str) -> dict:
    done = run(*args, "--json", **variables)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def expect_error(code: int, *args: str, **variables: str) -> str:
    """Runs, expects this exit code, nothing on stdout and exactly one line on stderr, and returns its message."""
    done = run(*args, **variables)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == ""
    assert done.stderr.startswith("mlx-serving: error: "), done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.endswith("\n"), done.stderr
    return done.stderr.removeprefix("mlx-serving: error: ").rstrip("\n")


class Server:
    """`mlx-serving serve` on a free port; use as a context manager."""

    def __init__(self, *args: str, **variables: str):
        self.process = subprocess.Popen(
            [BINARY, "serve", "--port", "0", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**variables),
        )
        try:
            self.url = self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def _wait_until_ready(self) -> str:
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda: lines.put(self.process.stdout.readline()), daemon=True).start()
        line = lines.get(timeout=READY_TIMEOUT_S)
        assert line.startswith("ready http://"), (
            line,
            self.process.poll(),
            self.process.stderr.read() if not line else "",
        )
        return line.removeprefix("ready ").strip()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def wait(self) -> tuple[int, str]:
        """Returns the exit code and what was written to stderr."""
        _, err = self.process.communicate(timeout=READY_TIMEOUT_S)
        return self.process.returncode, err

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.close()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        self.kill()
