#!/usr/bin/env python3
"""Figures of the CPU back end by itself: what precisions cost, memory and loading, paths and threads, a model of a billion parameters.

usage: cpu_figures.py CASE... [--repeat 5] [--build build/release] [--out FOLDER]
Cases: accuracy (needs model_precision_test built), footprint, paths, billion. Each prints one JSON object, or writes CASE.json.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "serving"))

from cpu import compile_bandwidth, output
from statistics_of import spread

ROOT = pathlib.Path(__file__).resolve().parents[1]
KV_BYTES = 256 << 20
FIGURES = {
    "tokens": r"tokens (\d+)",
    "log-probability, mean difference": r"log-probability ([\d.e-]+)",
    "divergence, nats": r"divergence ([\d.e-]+)",
    "perplexity, exact": r"perplexity ([\d.]+)",
    "perplexity": r"perplexity [\d.]+ and ([\d.]+)",
    "largest margin lost": r"margin lost ([\d.e-]+)",
}


def bench(build: pathlib.Path, *flags: object, environment: dict[str, str] | None = None) -> dict:
    command = [str(part) for part in (build / "mlx-serving", "bench", *flags, "--json")]
    run = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, **(environment or {})}
    )
    return json.loads(run.stdout)


def speed(report: dict) -> float:
    return report["results"][0]["tokens_per_second"]["median"]


def accuracy(build: pathlib.Path, repeat: int) -> dict:
    """The precisions against exact: 8,192 tokens that the model wrote, and the golden prompts with their greedy continuations."""
    run = subprocess.run(
        [build / "src/model/model_precision_test"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "MLX_SERVING_TEST_SCALE": "1"},
    )
    lines = re.findall(r"^((?:balanced|fast), \w+): (.*)$", run.stdout, re.M)
    rows = {}
    for name, line in lines:
        rows[name] = {key: float(re.search(pattern, line).group(1)) for key, pattern in FIGURES.items()}
    return {"rows": rows}


def footprint_once(build: pathlib.Path) -> dict:
    command = [build / "mlx-serving", "serve", "--port", "0", "--kv-memory", str(KV_BYTES)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            url = next(found.group() for line in server.stdout if (found := re.search(r"http://[\d.]+:\d+", line)))
            with urllib.request.urlopen(url + "/v1/models") as response:
                model = json.load(response)["data"][0]["id"]
            body = json.dumps({"model": model, "prompt": "Once upon a time " * 100, "max_tokens": 64}).encode()
            request = urllib.request.Request(url + "/v1/completions", body, {"Content-Type": "application/json"})
            urllib.request.urlopen(request).read()
            status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
        finally:
            server.terminate()
    return {"peak_mb": int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1e3 * 1.024}


def footprint(build: pathlib.Path, repeat: int) -> dict:
    """Peak memory of a server with 256 MiB for keys and values after a prompt of 500 tokens, and seconds to load."""
    loads = [bench(build, "--prompt", 8, "--gen", 0, "--repeat", 1) for _ in range(repeat)]
    file_mb = loads[0]["model"]["weight_bytes"] / 1e6
    peaks = [footprint_once(build)["peak_mb"] for _ in range(repeat)]
    bound = 1.2 * file_mb + KV_BYTES / 1e6 + 100
    return {
        "rows": {
            "weights, MB": {"value": file_mb},
            "peak, MB": spread(peaks),
            "bound (1.2 weights + keys and values + 100), MB": {"value": bound},
            "load, s": spread([load["model"]["load_seconds"] for load in loads]),
        }
    }


def paths(build: pathlib.Path, repeat: int) -> dict:
    """Tokens a second of each instruction set and number of threads, in turn; balanced precision."""
    rows: dict[str, dict[str, list[float]]] = {}
    best = bench(build, "--prompt", 8, "--gen", 0, "--repeat", 1)["machine"]["cpu_path"]
    cores = os.cpu_count() or 1
    for _ in range(repeat):
        for path, threads in (("avx2", cores), (best, cores), (best, 1)):
            environment = {"MLX_SERVING_CPU_PATH": path}
            row = rows.setdefault(f"{path}, {threads} threads", {"decode128": [], "prefill512": []})
            threads_flag = ("--threads", threads, "--repeat", 1)
            decode = bench(build, "--prompt", 0, "--gen", 64, "--depth", 128, *threads_flag, environment=environment)
            prefill = bench(build, "--prompt", 512, "--gen", 0, *threads_flag, environment=environment)
            row["decode128"].append(speed(decode))
            row["prefill512"].append(speed(prefill))
    return {"rows": {name: {case: spread(values) for case, values in row.items()} for name, row in rows.items()}}


def billion(build: pathlib.Path, repeat: int) -> dict:
    """A Llama of a billion parameters in 4 bits, random weights: decode, and what share of the bandwidth that is."""
    program = compile_bandwidth(pathlib.Path.home() / ".cache")
    shape = ROOT / "bench/shapes/llama_1b_q4.json"
    speeds, bandwidths, shares = [], [], []
    for _ in range(repeat):
        bandwidth = float(output(program))
        report = bench(build, "--random", shape, "--prompt", 0, "--gen", 32, "--depth", 32, "--repeat", 1)
        speeds.append(speed(report))
        bandwidths.append(bandwidth)
        shares.append(100 * speed(report) * report["model"]["weight_bytes"] / (bandwidth * 1e9))
    return {
        "rows": {
            "decode, token/s": spread(speeds),
            "bandwidth, GB/s": spread(bandwidths),
            "share of the bandwidth, %": spread(shares),
        }
    }


CASES = {case.__name__: case for case in (accuracy, footprint, paths, billion)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=CASES)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    information = json.loads(output(arguments.build / "mlx-serving", "info", "--json"))
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    for name in arguments.cases:
        result = {
            "schema": "mlx-serving-cpu-figures/1",
            "case": name,
            "what": CASES[name].__doc__,
            "command": f"bench/cpu_figures.py {name} --repeat {arguments.repeat}",
            "commit": commit.stdout.strip(),
            "date": datetime.date.today().isoformat(),
            "machine": information["machine"],
            **CASES[name](arguments.build, arguments.repeat),
        }
        text = json.dumps(result, indent=1) + "\n"
        (arguments.out / f"{name}.json").write_text(text) if arguments.out else print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
