#!/usr/bin/env python3
"""Writes the committed reference data under tests/golden: what the C++ side must reproduce.

Parts: models (tiny random checkpoints with their logits), greedy (continuations of the default model),
text (tokenizers and chat templates),
embeddings (pooled hidden states of the models). Equal inputs give equal bytes; the packages it needs are in
requirements/golden.txt.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))


def make_models(options: argparse.Namespace) -> None:
    from golden import model_suite

    model_suite.write(options.out / "models", only=options.only)


def make_greedy(options: argparse.Namespace) -> None:
    from golden import greedy

    if options.gguf is None:
        sys.exit("make_golden greedy needs --gguf FILE: SmolLM2-135M-Instruct.Q4_1.gguf")
    greedy.write(options.out / "greedy", options.gguf)


def make_text(options: argparse.Namespace) -> None:
    command = [sys.executable, str(ROOT / "tools" / "make_golden_text.py"), "--out", str(options.out)]
    if options.gguf is not None:
        command += ["--gguf", str(options.gguf)]
    subprocess.run(command, check=True)


def make_embeddings(options: argparse.Namespace) -> None:
    from golden import embeddings

    embeddings.write_embeddings(options.out / "models", options.out / "embeddings.json")


PARTS = {"models": make_models, "greedy": make_greedy, "text": make_text, "embeddings": make_embeddings}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="+", choices=[*PARTS, "all"])
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "golden")
    parser.add_argument("--gguf", type=Path, help="the default model's file, for greedy and text")
    parser.add_argument("--only", default="", help="models: only the cases whose name contains this; no index")
    options = parser.parse_args()
    for part in PARTS if "all" in options.parts else options.parts:
        PARTS[part](options)


if __name__ == "__main__":
    main()
