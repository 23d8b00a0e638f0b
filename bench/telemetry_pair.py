#!/usr/bin/env python3
"""What counting costs: `mlx-serving bench` with telemetry on and off, in turn; prints one JSON object.

usage: telemetry_pair.py [--pairs 12] [--batch 8] [--gen 64] [--binary build/release/mlx-serving] [--out FILE]
The interval is the bootstrap's, 95 %, of the median of on / off over the pairs; which goes first changes with each pair.
"""

import argparse
import datetime
import json
import pathlib
import random
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESAMPLES = 4000


def output(*command: object) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def speed(arguments: argparse.Namespace, telemetry: str) -> float:
    sizes = ["--prompt", 0, "--gen", arguments.gen, "--batch", arguments.batch, "--repeat", 1]
    report = json.loads(output(arguments.binary, "bench", *sizes, "--telemetry", telemetry, "--json"))
    return report["results"][0]["tokens_per_second"]["median"]


def interval(ratios: list[float]) -> list[float]:
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    return [medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES)]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--gen", type=int, default=64)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/mlx-serving")
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    samples: dict[str, list[float]] = {"on": [], "off": []}
    for pair in range(arguments.pairs):
        for telemetry in ("on", "off") if pair % 2 else ("off", "on"):
            samples[telemetry].append(speed(arguments, telemetry))
    ratios = [on / off for on, off in zip(samples["on"], samples["off"], strict=True)]
    result = {
        "schema": "mlx-serving-telemetry-pair/1",
        "command": f"bench/telemetry_pair.py --pairs {arguments.pairs} --batch {arguments.batch} --gen {arguments.gen}",
        "commit": output("git", "-C", ROOT, "describe", "--always", "--dirty").strip(),
        "date": datetime.date.today().isoformat(),
        "machine": json.loads(output(arguments.binary, "info", "--json"))["machine"],
        "tokens_per_second": {name: {"samples": values} for name, values in samples.items()},
        "ratio_on_off": {"median": statistics.median(ratios), "interval": interval(ratios)},
    }
    text = json.dumps(result, indent=1) + "\n"
    arguments.out.write_text(text) if arguments.out else print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
