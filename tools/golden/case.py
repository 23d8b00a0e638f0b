"""What a model case is: a configuration, the way its weights are stored, and the prompts to run."""

import zlib
from dataclasses import dataclass, field

import numpy as np

VOCAB_SIZE = 64
TOLERANCE = 1e-3  # on the absolute difference of each logit, computed in float32
HALF_TOLERANCES = {"float16": 0.05, "bfloat16": 0.4}  # the same, with activations in the stored type


@dataclass
class Case:
    """One folder under tests/golden/models."""

    name: str
    what: str  # one line for the index
    config: dict  # config.json as published checkpoints write it
    lengths: list[int] = field(default_factory=lambda: [64])  # one run per prompt length
    contrasts: list[dict] = field(default_factory=list)  # overrides of config that must change the logits
    storage: str = "float32"  # float32, float16, bfloat16
    quantization: dict | None = None  # mlx-lm's: group_size, bits, and overrides by module path
    gguf: str | None = None  # the type of a GGUF file's matrices: F16, Q4_1, ...
    num_shards: int = 1
    rename: list[tuple[str, str]] = field(default_factory=list)  # prefixes of stored names: (ours, theirs)
    extra_tensors: dict[str, tuple[int, ...]] = field(default_factory=dict)  # stored, and to be left alone

    @property
    def family(self) -> str:
        return self.config["model_type"].removesuffix("_text")


def seed_of(name: str) -> int:
    """A stable seed for a name; Python's own hash is salted."""
    return zlib.crc32(name.encode())


def prompt_tokens(length: int) -> list[int]:
    """The same prompt for every case; longer ones continue shorter ones."""
    rng = np.random.Generator(np.random.PCG64(17))
    return rng.integers(4, VOCAB_SIZE, size=256).tolist()[:length]


def random_weight(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Weights large enough that a wrong mask, norm or rotation moves logits far beyond the tolerance."""
    noise = rng.standard_normal(shape).astype(np.float32)
    if name.endswith("bias"):
        return 0.5 * noise
    if "norm" in name:
        return 0.2 * noise + 1.0
    if "embed_tokens" in name:
        return 0.4 * noise
    return 1.5 / np.sqrt(shape[-1], dtype=np.float32) * noise
