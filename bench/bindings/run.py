"""Tokens per second of the C++ door and of both packages, taken in turn: bench/bindings/run.py BUILD_DIR [options].

With the fake engine (--null), whose steps cost nothing, also microseconds that a package adds to a token. Prints one JSON
object. Needs the target door_bench, `make python` and `make node`.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def measure(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build_dir", type=pathlib.Path)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--null", action="store_true", help="the fake engine's model that answers at once")
    arguments = parser.parse_args()
    build = arguments.build_dir.resolve()
    environment = dict(os.environ)
    tail = [str(arguments.streams), str(arguments.tokens)]
    environment.pop("LD_LIBRARY_PATH", None)
    if arguments.null:
        environment["LD_LIBRARY_PATH"] = str(build / "lib-fake")
        tail.append("null")
    doors = {
        "cpp": [str(build / "src" / "bindings" / "door_bench")],
        "python": [str(ROOT / ".venv-python" / "bin" / "python"), str(HERE / "stream.py")],
        "node": ["node", str(HERE / "stream.mjs")],
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in doors}
    for _ in range(arguments.rounds):
        for name, command in doors.items():
            runs[name].append(measure(command + tail, environment))
    speed = {name: statistics.median(run["tokens"] / run["seconds"] for run in taken) for name, taken in runs.items()}
    cost_us = {name: 1e6 / value for name, value in speed.items()}
    result = {
        "streams": arguments.streams,
        "tokens_per_stream": arguments.tokens,
        "model": "null" if arguments.null else "default",
        "tokens_per_second": {name: round(value, 1) for name, value in speed.items()},
        "share_of_cpp": {name: round(value / speed["cpp"], 4) for name, value in speed.items()},
        "added_us_per_token": {name: round(value - cost_us["cpp"], 3) for name, value in cost_us.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
