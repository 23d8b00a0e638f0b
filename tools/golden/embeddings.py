"""Embeddings of the committed two-layer models, as Transformers pools them: the golden data of /v1/embeddings."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import AutoModel

MODELS = ("llama", "qwen3", "qwen2", "phi3")


def embeddings_of(folder: Path, tokens: list[int]) -> dict[str, list[float]]:
    """The last hidden state after the final norm, pooled and normalised."""
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        hidden = model(torch.tensor([tokens])).last_hidden_state[0]
    pools = {"mean": hidden.mean(dim=0), "last": hidden[-1]}
    return {name: torch.nn.functional.normalize(pool, dim=0).tolist() for name, pool in pools.items()}


def write_embeddings(models: Path, output: Path) -> None:
    """Writes one entry a model, for the first run of its case."""
    cases = {case["name"]: case for case in json.loads((models / "index.json").read_text())["cases"]}
    entries = []
    for name in MODELS:
        tokens = cases[name]["runs"][0]["tokens"]
        pools = embeddings_of(models / cases[name]["model"], tokens)
        entries.append({"name": name, "tokens": tokens, **pools})
    output.write_text(json.dumps({"cases": entries}) + "\n")
