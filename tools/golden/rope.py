"""Rotary frequencies of configurations of real size, as Transformers computes them: tests/golden/models/rope.json."""

import importlib
import json
from pathlib import Path

from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from .model_cases import TOKENS, factors
from .reference import load_config

SIZES = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 6,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_act": "silu",
}


def config_of(model_type: str, **fields) -> dict:
    return {"model_type": model_type} | TOKENS | SIZES | fields


LLAMA3 = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
QWEN = {"rope_theta": 1000000.0, "max_position_embeddings": 32768}
LONGROPE = {"type": "longrope", "short_factor": factors(48, 0.05), "long_factor": factors(48, 1.3)}

CONFIGS = {
    "llama2": config_of("llama", max_position_embeddings=4096),
    "llama_linear": config_of("llama", rope_scaling={"type": "linear", "factor": 4}, max_position_embeddings=16384),
    "llama3_1": config_of(
        "llama",
        rope_theta=500000.0,
        max_position_embeddings=131072,
        rope_scaling=LLAMA3 | {"factor": 8.0, "original_max_position_embeddings": 8192},
    ),
    "llama3_2": config_of(
        "llama",
        head_dim=64,
        rope_theta=500000.0,
        max_position_embeddings=131072,
        rope_scaling=LLAMA3 | {"factor": 32.0, "original_max_position_embeddings": 8192},
    ),
    "llama_yarn_mscale": config_of(
        "llama",
        max_position_embeddings=163840,
        rope_scaling=YARN
        | {"factor": 40, "original_max_position_embeddings": 4096, "mscale": 1.0, "mscale_all_dim": 0.8},
    ),
    "qwen2_yarn": config_of("qwen2", rope_scaling=YARN, **QWEN),
    "qwen2_yarn_ratio": config_of(
        "qwen2", rope_scaling=YARN | {"factor": None}, **QWEN | {"max_position_embeddings": 65536}
    ),
    "qwen3_yarn_untruncated": config_of(
        "qwen3",
        rope_scaling=YARN | {"truncate": False, "beta_fast": 24, "beta_slow": 1.5, "attention_factor": 1.25},
        **QWEN | {"head_dim": 128},
    ),
    "llama_longrope": config_of(
        "llama",
        max_position_embeddings=65536,
        rope_scaling={
            "rope_type": "longrope",
            "factor": 16.0,
            "original_max_position_embeddings": 4096,
            "short_factor": factors(64, 0.02),
            "long_factor": factors(64, 0.9),
        },
    ),
    "phi3_128k": config_of(
        "phi3",
        hidden_size=3072,
        num_key_value_heads=32,
        max_position_embeddings=131072,
        original_max_position_embeddings=4096,
        rope_scaling=LONGROPE,
    ),
    "phi3_su": config_of(
        "phi3",
        hidden_size=3072,
        max_position_embeddings=131072,
        original_max_position_embeddings=4096,
        rope_scaling=LONGROPE | {"type": "su", "attention_factor": 1.5, "original_max_position_embeddings": 4096},
    ),
    "phi4_mini": config_of(
        "phi3",
        hidden_size=3072,
        num_attention_heads=24,
        max_position_embeddings=131072,
        original_max_position_embeddings=4096,
        partial_rotary_factor=0.75,
        rope_scaling=LONGROPE,
    ),
    "gemma3_4b": config_of(
        "gemma3_text", head_dim=256, rope_scaling={"rope_type": "linear", "factor": 8.0}, rope_local_base_freq=10000.0
    ),
}


def numbers(values) -> list[float]:
    return [float(v) for v in values]


def rope_of(config, rotary, layer_type: str | None) -> dict:
    prefix = f"{layer_type}_" if layer_type else ""
    parameters = config.rope_parameters[layer_type] if layer_type else config.rope_parameters
    scaling = getattr(rotary, f"{prefix}attention_scaling")
    rope = {"inv_freq": numbers(getattr(rotary, f"{prefix}inv_freq")), "attention_factor": float(scaling)}
    if parameters["rope_type"] == "longrope":
        original = parameters["original_max_position_embeddings"]
        long_freq, _ = ROPE_INIT_FUNCTIONS["longrope"](config, seq_len=original + 1)
        rope |= {"inv_freq_long": numbers(long_freq), "original_context": original}
    return rope


def rotary_module(config):
    """The rotary module that a model of this configuration would have."""
    modeling = importlib.import_module(type(config).__module__.replace("configuration_", "modeling_"))
    name = type(config).__name__.removesuffix("TextConfig").removesuffix("Config")
    return getattr(modeling, f"{name}RotaryEmbedding")(config)


def write(path: Path) -> None:
    lines = []
    for name, fields in CONFIGS.items():
        config = load_config(fields)
        rotary = rotary_module(config)
        types = config.layer_types if fields["model_type"].startswith("gemma3") else [None]
        layers = {str(types.index(t)): rope_of(config, rotary, t) for t in dict.fromkeys(types)}
        lines.append(json.dumps({"name": name, "config": fields, "layers": layers}))
    path.write_text('{"format": 1, "cases": [\n' + ",\n".join(lines) + "\n]}\n")
