#!/usr/bin/env python3
"""Runs scenarios against `mlx-serving serve` and writes one JSON result a scenario.

usage: run.py SCENARIO... [--repeat 5] [--binary build/release/mlx-serving] [--out bench/results/FOLDER]
Scenarios: shared_prefix long_prompt_beside_streams two_priorities two_keys small_pool. Everything stays on the loopback.
"""

import argparse
import asyncio
import datetime
import json
import pathlib
import subprocess
import sys

import scenarios
from statistics_of import spread
from streams import ROOT, serving

NAMES = ("shared_prefix", "long_prompt_beside_streams", "two_priorities", "two_keys", "small_pool")


async def run_once(name: str, binary: pathlib.Path, seed: int) -> dict:
    if name == "small_pool":
        # 48 sequences of about 360 tokens want about 17,000 tokens of keys and values; the pool has a tenth.
        small = ("--kv-memory", str(1728 * kv_bytes_per_token(binary)), "--context-length", "1024")
        async with serving(binary, *small) as url, serving(binary, "--context-length", "1024") as large_url:
            return await scenarios.small_pool(url, large_url, seed)
    async with serving(binary, "--max-queue", "4096", "--max-connections", "8192", "--max-sequences", "32") as url:
        if name in ("two_priorities", "two_keys"):
            capacity = await scenarios.capacity_of(url, seed)
            figures = await getattr(scenarios, name)(url, seed + 1, capacity)
            return {"capacity_requests_per_second": round(capacity, 3), **figures}
        return await getattr(scenarios, name)(url, seed)


def information(binary: pathlib.Path, *model: str) -> dict:
    return json.loads(subprocess.run([binary, "info", *model, "--json"], check=True, capture_output=True).stdout)


def kv_bytes_per_token(binary: pathlib.Path) -> int:
    return information(binary, "default")["kv_bytes_per_token"]


def commit() -> str:
    return subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def summary(runs: list[dict]) -> dict:
    """Median, minimum and maximum of every figure that is a number in all runs."""
    numbers = [key for key, value in runs[0].items() if isinstance(value, int | float)]
    return {key: spread([run[key] for run in runs]) for key in numbers}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="+", choices=NAMES)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/mlx-serving")
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    for name in arguments.scenarios:
        runs = []
        for repetition in range(arguments.repeat):
            runs.append(asyncio.run(run_once(name, arguments.binary, seed=1000 * repetition)))
            print(name, json.dumps(runs[-1]), file=sys.stderr, flush=True)
        result = {
            "scenario": name,
            "what": getattr(scenarios, name).__doc__,
            "command": f"bench/serving/run.py {name} --repeat {arguments.repeat}",
            "commit": commit(),
            "date": datetime.date.today().isoformat(),
            "machine": information(arguments.binary)["machine"],
            "summary": summary(runs),
            "runs": runs,
        }
        text = json.dumps(result, indent=1) + "\n"
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            (arguments.out / f"{name}.json").write_text(text)
        else:
            print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
