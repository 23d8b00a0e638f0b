#!/usr/bin/env python3
"""mlx-serving beside llama.cpp on this CPU, in turn, and the memory bandwidth between them; prints one JSON object.

usage: cpu.py [--repeat 5] [--case NAME...] [--peers FOLDER] [--binary build/release/mlx-serving] [--out FILE]
Cases: decode128 decode2048 prefill512. Formats: Q4_1 (the default model) and Q4_0 (made from it by llama-quantize).
The peers' folder holds llama/bin/llama-bench and llama-quantize; bench/README.md says how to install them.
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "serving"))

from statistics_of import spread

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = {
    "decode128": {"prompt": 0, "gen": 128, "depth": 128},
    "decode2048": {"prompt": 0, "gen": 64, "depth": 2048},
    "prefill512": {"prompt": 512, "gen": 0, "depth": 0},
}
PRECISIONS = ("fast", "balanced", "exact")
WARM_UP = 1  # runs of each command that do not count


def output(*command: object) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def ours(binary: pathlib.Path, model: pathlib.Path, case: dict, precision: str) -> float:
    sizes = [part for key in ("prompt", "gen", "depth") for part in (f"--{key}", case[key])]
    report = json.loads(output(binary, "bench", model, *sizes, "--repeat", 1, "--precision", precision, "--json"))
    return report["results"][0]["tokens_per_second"]["median"]


def llama(binary: pathlib.Path, model: pathlib.Path, case: dict, threads: int) -> float:
    sizes = ["-p", case["prompt"], "-n", case["gen"], "-d", case["depth"]]
    report = json.loads(output(binary, "-m", model, *sizes, "-r", 1, "-t", threads, "-o", "json"))
    return report[-1]["avg_ts"]


def compile_bandwidth(folder: pathlib.Path) -> pathlib.Path:
    program = folder / "mlx-serving-bandwidth"
    source = pathlib.Path(__file__).with_name("bandwidth.cpp")
    output(os.environ.get("CXX", "c++"), "-O3", "-march=native", "-std=c++20", "-pthread", "-o", program, source)
    return program


def quantized(peers: pathlib.Path, model: pathlib.Path) -> pathlib.Path:
    """The same model in llama.cpp's fastest 4-bit format for CPUs."""
    made = peers / (model.stem.replace("Q4_1", "Q4_0") + ".gguf")
    if not made.exists():
        output(peers / "llama/bin/llama-quantize", "--allow-requantize", model, made, "Q4_0")
    return made


def measure(arguments: argparse.Namespace, models: dict[str, pathlib.Path], case_name: str) -> dict:
    """Each round runs every command once, so that a slow minute of the machine hits all of them."""
    threads = os.cpu_count()
    case = CASES[case_name]
    bandwidth = compile_bandwidth(arguments.peers)
    commands = {"bandwidth_gb_s": lambda: float(output(bandwidth, threads, 1))}
    for name, model in models.items():
        for precision in PRECISIONS:
            commands[f"ours_{name}_{precision}"] = lambda m=model, p=precision: ours(arguments.binary, m, case, p)
        commands[f"llama_{name}"] = lambda m=model: llama(arguments.peers / "llama/bin/llama-bench", m, case, threads)
    samples: dict[str, list[float]] = {name: [] for name in commands}
    for repetition in range(WARM_UP + arguments.repeat):
        for name, command in commands.items():
            value = command()
            if repetition >= WARM_UP:
                samples[name].append(value)
                print(case_name, name, value, file=sys.stderr, flush=True)
    return {
        "tokens_per_second": {name: spread(values) for name, values in samples.items()},
        "ratios_to_llama": {
            f"ours_{own}_{precision}/llama_{other}": spread(
                [a / b for a, b in zip(samples[f"ours_{own}_{precision}"], samples[f"llama_{other}"], strict=True)]
            )
            for own in models
            for other in models
            for precision in PRECISIONS
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    home = pathlib.Path.home() / ".cache"
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--peers", type=pathlib.Path, default=home / "mlx-serving-peers")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/mlx-serving")
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    home = pathlib.Path(os.environ.get("MLX_SERVING_HOME", home / "mlx-serving"))
    model = home / "models/SmolLM2-135M-Instruct.Q4_1.gguf"
    models = {"Q4_1": model, "Q4_0": quantized(arguments.peers, model)}
    machine = json.loads(output(arguments.binary, "info", "--json"))["machine"]
    result = {
        "command": "bench/peers/cpu.py " + " ".join(["--repeat", str(arguments.repeat), "--case", *arguments.case]),
        "commit": output("git", "-C", ROOT, "describe", "--always", "--dirty").strip(),
        "date": datetime.date.today().isoformat(),
        "machine": machine,
        "bytes": {name: path.stat().st_size for name, path in models.items()},
        "cases": {name: measure(arguments, models, name) for name in arguments.case},
    }
    text = json.dumps(result, indent=1) + "\n"
    arguments.out.write_text(text) if arguments.out else print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
