"""Writes every model case and the index of them: tests/golden/models."""

import json
import shutil
from pathlib import Path

import numpy as np

from . import rope
from .case import HALF_TOLERANCES, TOLERANCE, VOCAB_SIZE, Case, prompt_tokens
from .gguf_writer import write_gguf
from .model_cases import CASES
from .quantized_cases import GGUF_CASES, MLX_CASES
from .reference import logits_of, make_weights
from .storage import TORCH_DTYPES, round_to_storage, write_checkpoint

# A case whose logits hardly change without the feature it is there for would prove nothing.
MIN_CONTRAST = 0.05
MIN_SPREAD = 1.0
GGUF_STORAGE = {"F32": "float32", "BF16": "bfloat16"}  # all others: float16, by their weights or scales


def write_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def half_type(case: Case) -> str | None:
    """The 16-bit type in which an engine may hold this case's activations, because weights or scales have it."""
    storage = GGUF_STORAGE.get(case.gguf, "float16") if case.gguf else case.storage
    return storage if storage in HALF_TOLERANCES else None


def check(case: Case, weights: dict, logits: np.ndarray, tokens: list[int]) -> None:
    """Refuses a case that a wrong engine would pass, or that a right one in half precision would fail."""
    if logits.std() < MIN_SPREAD:
        raise RuntimeError(f"{case.name}: logits spread by {logits.std():.2g} only")
    for overrides in case.contrasts:
        difference = float(np.abs(logits_of(case.config | overrides, weights, tokens) - logits).max())
        if difference < MIN_CONTRAST:
            raise RuntimeError(f"{case.name}: {overrides} moves the logits by {difference:.2g} only")
    half = half_type(case)
    if half is not None:
        difference = float(np.abs(logits_of(case.config, weights, tokens, TORCH_DTYPES[half]) - logits).max())
        if difference > HALF_TOLERANCES[half]:
            raise RuntimeError(f"{case.name}: Transformers itself differs by {difference:.2g} in {half}")


def write_runs(case: Case, folder: Path, weights: dict) -> list[dict]:
    runs = []
    for length in case.lengths:
        tokens = prompt_tokens(length)
        logits = logits_of(case.config, weights, tokens)
        if length == max(case.lengths):
            check(case, weights, logits, tokens)
        file = f"logits_{length}.f32"
        (folder / file).write_bytes(logits.astype("<f4").tobytes())
        runs.append({"tokens": tokens, "total_length": length, "logits": f"{case.name}/{file}"})
    return runs


def write_folder(case: Case, folder: Path) -> dict[str, np.ndarray]:
    """RETURNS: the values of the stored weights."""
    stored = round_to_storage(case, make_weights(case))
    write_checkpoint(case, folder, stored)
    quantization = {}
    if case.quantization:
        quantization = {"quantization": case.quantization, "quantization_config": case.quantization}
    write_json(folder / "config.json", case.config | quantization)
    write_json(folder / "generation_config.json", {"bos_token_id": 1, "eos_token_id": [2, 3]})
    return stored.values


def write_case(case: Case, out: Path) -> dict:
    folder = out / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if case.gguf:
        values = write_gguf(case, folder / "model.gguf", make_weights(case))
    else:
        values = write_folder(case, folder)
    entry = {
        "name": case.name,
        "what": case.what,
        "family": case.family,
        "layout": "gguf" if case.gguf else "safetensors",
        "model": f"{case.name}/model.gguf" if case.gguf else case.name,
        "vocab_size": VOCAB_SIZE,
        "tolerance": TOLERANCE,
    }
    half = half_type(case)
    if half is not None:
        entry |= {"half_type": half, "half_tolerance": HALF_TOLERANCES[half]}
    return entry | {"runs": write_runs(case, folder, values)}


def index_text(entries: list[dict]) -> str:
    """One line per case, so that a change of one shows as one."""
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    return f'{{"format": 1, "cases": [\n{lines}\n]}}\n'


def write(out: Path, only: str = "") -> None:
    entries = []
    for case in CASES + MLX_CASES + GGUF_CASES:
        if only in case.name:
            entries.append(write_case(case, out))
            print(f"{case.name}: {len(entries[-1]['runs'])} runs")
    if not only:
        (out / "index.json").write_text(index_text(entries))
        rope.write(out / "rope.json")
