"""Stores weights as Hugging Face and mlx-lm do, and tells what the stored numbers are worth in float32."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from . import mlx_quantization
from .case import Case, seed_of

TORCH_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass
class StoredWeights:
    tensors: dict[str, torch.Tensor]  # as on disk
    values: dict[str, np.ndarray]  # what the reference computes with, float32


def round_to_storage(case: Case, weights: dict[str, np.ndarray]) -> StoredWeights:
    dtype = TORCH_DTYPES[case.storage]
    stored = StoredWeights({}, {})
    for name, weight in weights.items():
        module = name.removesuffix(".weight")
        parameters = None
        if case.quantization and weight.ndim == 2:
            parameters = mlx_quantization.parameters_of(case.quantization, module)
        if parameters is None:
            stored.tensors[name] = torch.from_numpy(weight).to(dtype)
            stored.values[name] = stored.tensors[name].float().numpy()
            continue
        parts, stored.values[name] = mlx_quantization.quantize(weight, case.storage, parameters)
        stored.tensors |= {f"{module}.{ending}": part for ending, part in parts.items()}
    return stored


def stored_name(case: Case, name: str) -> str:
    for ours, theirs in case.rename:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


def save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors writes for the owner only


def write_checkpoint(case: Case, folder: Path, stored: StoredWeights) -> None:
    rng = np.random.Generator(np.random.PCG64(seed_of("extra")))
    tensors = {stored_name(case, name): t.contiguous() for name, t in stored.tensors.items()}
    for name, shape in case.extra_tensors.items():
        tensors[name] = torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
    if case.num_shards == 1:
        save(tensors, folder / "model.safetensors")
        return
    weight_map = {}
    names = sorted(tensors)
    for shard in range(case.num_shards):
        file = f"model-{shard + 1:05d}-of-{case.num_shards:05d}.safetensors"
        part = {name: tensors[name] for name in names[shard :: case.num_shards]}
        save(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    total = sum(t.nbytes for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")
