"""The model cases with quantized weights: MLX's affine layout as mlx-lm stores it, and GGUF as llama.cpp writes it."""

from .case import Case
from .model_cases import LLAMA3, LONG, WINDOW, factors, gemma3, llama, phi3, qwen2, qwen3, yarn

# Groups of 128 need inputs of 128.
WIDE = {"hidden_size": 128, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 1}
LENGTHS = [48]


def mixed_overrides() -> dict:
    """Every pair of bits and group size on some layer, the output left in float32."""
    pairs = [(bits, group) for bits in (2, 3, 4, 6, 8) for group in (32, 64, 128)]
    modules = [f"self_attn.{p}_proj" for p in "qkvo"] + [f"mlp.{p}_proj" for p in ("gate", "up", "down")]
    paths = ["model.embed_tokens"] + [f"model.layers.{i}.{module}" for i in (0, 1) for module in modules]
    return {path: {"group_size": group, "bits": bits} for path, (bits, group) in zip(paths, pairs, strict=True)} | {
        "lm_head": False
    }


MLX_CASES = [
    Case(
        "mlx_q2_g64",
        "MLX 2 bits, groups of 64",
        llama(**WIDE),
        lengths=LENGTHS,
        quantization={"group_size": 64, "bits": 2},
    ),
    Case(
        "mlx_q3_g128",
        "MLX 3 bits, groups of 128",
        qwen3(**WIDE | {"head_dim": 32}),
        lengths=LENGTHS,
        quantization={"group_size": 128, "bits": 3},
    ),
    Case(
        "mlx_q4_g32_gemma3",
        "MLX 4 bits, groups of 32, on Gemma 3: quantized embedding that is scaled and tied; mode stated",
        gemma3(**WIDE, sliding_window_pattern=2) | {"num_hidden_layers": 2},
        lengths=LENGTHS,
        quantization={"group_size": 32, "bits": 4, "mode": "affine"},
    ),
    Case(
        "mlx_q4_g64_qwen2",
        "MLX 4 bits, groups of 64, on Qwen2 in bfloat16: biases of layers beside biases of groups",
        qwen2(**WIDE, tie_word_embeddings=True),
        lengths=LENGTHS,
        storage="bfloat16",
        quantization={"group_size": 64, "bits": 4},
    ),
    Case(
        "mlx_q6_g64_phi3",
        "MLX 6 bits, groups of 64, on Phi-3 in float16: fused projections",
        phi3(**WIDE, sliding_window=WINDOW),
        lengths=LENGTHS,
        storage="float16",
        quantization={"group_size": 64, "bits": 6},
    ),
    Case(
        "mlx_q8_g32",
        "MLX 8 bits, groups of 32, float16",
        llama(**WIDE),
        lengths=LENGTHS,
        storage="float16",
        quantization={"group_size": 32, "bits": 8},
    ),
    Case(
        "mlx_mixed",
        "MLX with an override for every layer: all pairs of 2, 3, 4, 6, 8 bits and groups of 32, 64, 128",
        llama(**WIDE),
        lengths=LENGTHS,
        quantization={"group_size": 64, "bits": 4} | mixed_overrides(),
    ),
]


def gguf_llama(kind: str) -> Case:
    config = llama(head_dim=16, intermediate_size=64)  # blocks of 32
    return Case(f"gguf_llama_{kind.lower()}", f"GGUF {kind}, llama: q and k permuted", config, gguf=kind)


GGUF_CASES = [gguf_llama(kind) for kind in ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1")] + [
    Case(
        "gguf_llama_bias_llama3",
        "GGUF llama with biases and rope_freqs.weight",
        llama(attention_bias=True, rope_theta=500000.0, rope_scaling=LLAMA3, head_dim=16),
        lengths=[LONG],
        contrasts=[{"rope_scaling": None}],
        gguf="F32",
    ),
    Case(
        "gguf_qwen2",
        "GGUF qwen2: biases, tied, yarn",
        qwen2(tie_word_embeddings=True, rope_scaling=yarn(), head_dim=16) | {"num_attention_heads": 2},
        lengths=[LONG],
        contrasts=[{"rope_scaling": None}],
        gguf="F32",
    ),
    Case("gguf_qwen3", "GGUF qwen3: norms on q and k, head_dim from key_length", qwen3(), gguf="F32"),
    Case(
        "gguf_gemma3",
        "GGUF gemma3: norms stored as 1 + w, six layers to a global one, local base of 10000, linear scaling",
        gemma3(rope_theta=1000000.0, rope_local_base_freq=10000.0, rope_scaling={"factor": 8.0, "rope_type": "linear"})
        | {"num_hidden_layers": 7, "query_pre_attn_scalar": 16},
        lengths=[LONG],
        contrasts=[{"rope_scaling": None}],
        gguf="F32",
    ),
    Case(
        "gguf_phi3",
        "GGUF phi3: attn_qkv, fused ffn_up, sliding window",
        phi3(sliding_window=WINDOW, original_max_position_embeddings=256),
        contrasts=[{"sliding_window": None}],
        gguf="F32",
    ),
    Case(
        "gguf_phi3_longrope",
        "GGUF phi3: rope_factors_short.weight and rope_factors_long.weight on three quarters of each head",
        phi3(
            num_attention_heads=2,
            num_key_value_heads=1,
            partial_rotary_factor=0.75,
            rope_scaling={"type": "longrope", "short_factor": factors(6, 0.1), "long_factor": factors(6, 2.0)},
        ),
        lengths=[28, LONG],
        contrasts=[{"rope_scaling": None}],
        gguf="F32",
    ),
]
