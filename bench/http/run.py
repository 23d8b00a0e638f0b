#!/usr/bin/env python3
"""What the doors cost and stand without a model: runs null_server and http_load, writes one JSON result a scenario.

usage: run.py SCENARIO... [--build build/release] [--scale 1.0] [--out bench/results/http]
Exits 1 where a scenario misses its bar. --scale shortens a scenario; the bars stay, but for rates.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Bench:
    def __init__(self, build: pathlib.Path, scale: float):
        self._folder = build / "bench" / "http"
        self.scale = scale
        self.commands: list[str] = []

    @contextlib.contextmanager
    def serving(self, flags: str) -> Iterator[tuple[str, str]]:
        command = [str(self._folder / "null_server"), *flags.split()]
        self.commands.append(f"null_server {flags}")
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            _, url, pid = process.stdout.readline().split()
            yield url.rsplit(":", 1)[1], pid
            process.stdin.close()

    def load(self, server: tuple[str, str], flags: str) -> dict:
        self.commands.append(f"http_load {flags}")
        command = [str(self._folder / "http_load"), "--port", server[0], "--process", server[1], *flags.split()]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def scaled(self, count: int, least: int = 1) -> int:
        return max(least, int(count * self.scale))


def all_complete(figures: dict) -> bool:
    return figures["complete"] == figures["requests"] and figures["idle_lost"] == 0


def throughput(bench: Bench) -> tuple[dict, dict]:
    """1,000 streams, a token every 14 ms each: 70,000 token/s, each an event of its own."""
    with bench.serving("--step-us 14000") as server:
        figures = bench.load(server, f"--streams 1000 --tokens {bench.scaled(600, 60)}")
    return figures, {
        "every stream complete": all_complete(figures),
        "50,000 token/s": figures["tokens_per_second"] >= 50_000 or bench.scale < 0.5,
        "15 us of the server a token": figures["server_cpu_us_per_token"] < 15,
        "an event a token": figures["events"] >= 0.95 * figures["tokens"],
    }


def connections(bench: Bench) -> tuple[dict, dict]:
    """1,000 streams beside 4,000 idle connections, after one such rush: what is open and held 30 s later."""
    rush = "--streams 1000 --idle 4000 --settle 30 --seconds 900"
    with bench.serving("--step-us 20000") as server:
        first = bench.load(server, f"{rush} --tokens 50")
        figures = bench.load(server, f"{rush} --tokens {bench.scaled(29_000, 100)}")
    figures["resident_kib"]["before_the_first_rush"] = first["resident_kib"]["base"]
    resident = figures["resident_kib"]
    return figures, {
        "every stream complete, no idle connection lost": all_complete(figures) and all_complete(first),
        "descriptors back to the base": figures["descriptors"]["after"] == figures["descriptors"]["base"],
        "memory within 5 % of the base": resident["after"] <= 1.05 * resident["base"],
    }


def overload(bench: Bench) -> tuple[dict, dict]:
    """Ten times what queue and batch hold, at once."""
    with bench.serving("--step-us 2000 --sequences 64 --queue 436") as server:
        calm = bench.load(server, "--streams 500 --tokens 100")
        figures = bench.load(server, f"--streams {bench.scaled(5000, 1000)} --tokens 100")
    answered = figures["complete"] + figures["status_429"] + figures["status_503"]
    figures["calm_request_ms"] = calm["request_ms"]
    return figures, {
        "only 200, 429 and 503": answered == figures["requests"],
        "some were refused": figures["complete"] < figures["requests"],
        "Retry-After with each refusal": figures["without_retry_after"] == 0,
        "accepted ones' p99 within twice the calm one": figures["request_ms"]["p99"] <= 2 * calm["request_ms"]["p99"],
    }


def slow_readers(bench: Bench) -> tuple[dict, dict]:
    """200 streams beside 100 clients that read nothing and 100 that read a byte a second."""
    tokens = bench.scaled(1000, 100)
    limit = 30 if bench.scale >= 0.5 else 3
    with bench.serving(f"--step-us 5000 --write-timeout {limit}") as server:
        control = bench.load(server, f"--streams 200 --tokens {tokens}")
        base = control["resident_kib"]["after"]
        figures = bench.load(server, f"--streams 200 --tokens {tokens} --stalled 100 --slow 100 --seconds 90")
    figures["control_tokens_per_second"] = control["tokens_per_second"]
    figures["kib_per_slow_client"] = (figures["resident_kib"]["loaded"] - base) / 200
    cut = figures.get("cut_after_s", {"count": 0, "min": 0, "max": 0})
    return figures, {
        "every stream complete": all_complete(figures),
        "95 % of the control's token/s": figures["tokens_per_second"] >= 0.95 * control["tokens_per_second"],
        "256 KiB a slow client": figures["kib_per_slow_client"] <= 256,
        "all 200 are cut": cut["count"] == 200,
        "at the limit; 6 s more for what the socket takes first": limit - 2 <= cut["min"] and cut["max"] <= limit + 6,
    }


SCENARIOS = {function.__name__: function for function in (throughput, connections, overload, slow_readers)}


def machine() -> dict:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    features = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    wanted = [name for name in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16") if name in features]
    return {
        "processor": names[0] if names else "unknown",
        "cores": os.cpu_count(),
        "features": wanted,
        "kernel": platform.release(),
    }


def commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    failed = []
    for name in arguments.scenarios:
        bench = Bench(arguments.build.resolve(), arguments.scale)
        figures, bars = SCENARIOS[name](bench)
        failed += [f"{name}: {bar}" for bar, is_met in bars.items() if not is_met]
        result = {
            "scenario": name,
            "what": SCENARIOS[name].__doc__,
            "command": f"bench/http/run.py {name} --scale {arguments.scale}",
            "runs": bench.commands,
            "commit": commit(),
            "date": datetime.date.today().isoformat(),
            "machine": machine(),
            "bars": bars,
            "figures": figures,
        }
        text = json.dumps(result, indent=1) + "\n"
        print(text, end="", flush=True)
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            (arguments.out / f"{name}.json").write_text(text)
    for line in failed:
        print(f"MISSED {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
