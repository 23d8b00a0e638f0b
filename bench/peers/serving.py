#!/usr/bin/env python3
"""mlx-serving beside llama-server over HTTP on this CPU, in turn, each run on a fresh server; prints one JSON object.

usage: serving.py [--repeat 5] [--case one sixteen shared] [--precision balanced] [--peers FOLDER] [--binary FILE] [--out FILE]
Cases: `one` and `sixteen` concurrent requests of 128 tokens in and 64 out; `shared`: 32 at once that share 1,024 of 1,056 tokens, cold.
"""

import argparse
import asyncio
import contextlib
import datetime
import json
import os
import pathlib
import random
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "serving"))

from statistics_of import quantile, spread
from streams import ROOT, Client, serving, words

LLAMA_PORT = 18321


@contextlib.asynccontextmanager
async def llama_server(binary: pathlib.Path, model: pathlib.Path):
    """llama-server with 16 slots and all cores on the loopback."""
    threads = str(os.cpu_count())
    flags = [
        "-t",
        threads,
        "-tb",
        threads,
        "-np",
        "16",
        "-c",
        "36864",
        "--host",
        "127.0.0.1",
        "--port",
        str(LLAMA_PORT),
    ]
    process = await asyncio.create_subprocess_exec(
        str(binary), "-m", str(model), *flags, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{LLAMA_PORT}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError, EOFError):
                await Client(url).get("/health")
                break
            await asyncio.sleep(0.1)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def load(url: str, case: str, seed: int) -> dict[str, float]:
    generator = random.Random(seed)
    if case == "shared":
        prefix = words(generator, 1024)
        prompts = [prefix + words(generator, 32) for _ in range(32)]
    else:
        prompts = [words(generator, 128) for _ in range(16 if case == "sixteen" else 1)]
    async with Client(url) as client:
        await client.complete(words(generator, 16), 4)  # both servers have run once
        started = time.monotonic()
        answers = await asyncio.gather(*(client.complete(prompt, 64) for prompt in prompts))
        seconds = time.monotonic() - started
    if any(answer.status != 200 or answer.error for answer in answers):
        raise RuntimeError(f"{case}: {[answer.error for answer in answers]}")
    return {
        "generated_tokens_per_second": 64 * len(answers) / seconds,
        "ttft_p95_ms": quantile([answer.first_token_ms for answer in answers], 0.95),
        "seconds": seconds,
        "cached_tokens": sum(answer.usage["prompt_tokens_details"]["cached_tokens"] for answer in answers),
    }


async def measure(arguments: argparse.Namespace, models: dict[str, pathlib.Path], case: str) -> dict:
    runs: dict[str, list[dict]] = {}
    for repetition in range(arguments.repeat):
        for name, model in models.items():
            ours = serving(arguments.binary, str(model), "--precision", arguments.precision, "--max-sequences", "32")
            theirs = llama_server(arguments.peers / "llama/bin/llama-server", model)
            for side, server in ((f"ours_{name}", ours), (f"llama_{name}", theirs)):
                async with server as url:
                    figures = await load(url, case, repetition)
                runs.setdefault(side, []).append(figures)
                print(case, side, json.dumps(figures), file=sys.stderr, flush=True)
    return {side: {key: spread([run[key] for run in of]) for key in of[0]} for side, of in runs.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = pathlib.Path.home() / ".cache"
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--case", nargs="+", choices=("one", "sixteen", "shared"), default=["one", "sixteen", "shared"])
    parser.add_argument("--precision", default="balanced", choices=("fast", "balanced", "exact"))
    parser.add_argument("--peers", type=pathlib.Path, default=cache / "mlx-serving-peers")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/mlx-serving")
    parser.add_argument("--format", nargs="+", choices=("Q4_0", "Q4_1"), default=["Q4_1", "Q4_0"])
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    home = pathlib.Path(os.environ.get("MLX_SERVING_HOME", cache / "mlx-serving"))
    paths = {
        "Q4_1": home / "models/SmolLM2-135M-Instruct.Q4_1.gguf",
        "Q4_0": arguments.peers / "SmolLM2-135M-Instruct.Q4_0.gguf",
    }
    models = {name: paths[name] for name in arguments.format}
    information = subprocess.run([arguments.binary, "info", "--json"], check=True, capture_output=True).stdout
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    result = {
        "command": f"bench/peers/serving.py --repeat {arguments.repeat} --case {' '.join(arguments.case)} "
        f"--precision {arguments.precision} --format {' '.join(arguments.format)}",
        "commit": commit.stdout.strip(),
        "date": datetime.date.today().isoformat(),
        "machine": json.loads(information)["machine"],
        "cases": {case: asyncio.run(measure(arguments, models, case)) for case in arguments.case},
    }
    text = json.dumps(result, indent=1) + "\n"
    arguments.out.write_text(text) if arguments.out else print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
