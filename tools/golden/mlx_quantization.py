"""Quantizes weights with MLX in mlx-lm's layout: X.weight (packed uint32), X.scales and X.biases."""

import mlx.core as mx
import numpy as np
import torch

MX_DTYPES = {"float32": mx.float32, "float16": mx.float16, "bfloat16": mx.bfloat16}


def parameters_of(quantization: dict, path: str) -> dict | None:
    """RETURNS: group size and bits of the module at `path`; None: it stays as it is."""
    override = quantization.get(path, quantization)
    return {k: override[k] for k in ("group_size", "bits")} if override else None


def to_torch(array: mx.array) -> torch.Tensor:
    """Exact, bit by bit for bfloat16, which numpy does not have."""
    if array.dtype == mx.bfloat16:
        return torch.from_numpy(np.array(array.view(mx.int16))).view(torch.bfloat16)
    return torch.from_numpy(np.array(array))


def quantize(weight: np.ndarray, storage: str, parameters: dict) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """RETURNS: the stored parts by their ending, and the float32 values that they stand for."""
    with mx.stream(mx.cpu):
        packed, scales, biases = mx.quantize(mx.array(weight).astype(MX_DTYPES[storage]), **parameters)
        values = mx.dequantize(packed, scales.astype(mx.float32), biases.astype(mx.float32), **parameters)
        mx.eval(packed, scales, biases, values)
    parts = {"weight": to_torch(packed), "scales": to_torch(scales), "biases": to_torch(biases)}
    return parts, np.array(values)
