"""The model cases of the families: one or more each, with the feature that it proves. Stored as plain safetensors."""

from .case import VOCAB_SIZE, Case

TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
ORIGINAL_CONTEXT = 32  # small, so that short prompts run past it
WINDOW = 16
LONG = 72


def config_of(model_type: str, architecture: str, **fields) -> dict:
    sizes = {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    }
    return {"architectures": [architecture], "model_type": model_type} | TOKENS | sizes | fields


def llama(**fields) -> dict:
    return config_of("llama", "LlamaForCausalLM", **{"rope_theta": 10000.0} | fields)


def qwen2(**fields) -> dict:
    return config_of("qwen2", "Qwen2ForCausalLM", **{"rope_theta": 1000000.0, "rms_norm_eps": 1e-6} | fields)


def qwen3(**fields) -> dict:
    own = {"rope_theta": 1000000.0, "rms_norm_eps": 1e-6, "head_dim": 16, "attention_bias": False}
    return config_of("qwen3", "Qwen3ForCausalLM", **own | fields)


def phi3(**fields) -> dict:
    own = {"rope_theta": 10000.0, "original_max_position_embeddings": ORIGINAL_CONTEXT, "rope_scaling": None}
    return config_of("phi3", "Phi3ForCausalLM", **own | fields)


def gemma3(**fields) -> dict:
    """Text configuration as published: no rms_norm_eps, tie or activation where the defaults hold."""
    config = config_of("gemma3_text", "Gemma3ForCausalLM", **{"head_dim": 16, "sliding_window": WINDOW} | fields)
    for name in ("hidden_act", "rms_norm_eps", "tie_word_embeddings"):
        del config[name]
    return config | {"num_hidden_layers": 3, "query_pre_attn_scalar": 24}


def yarn(**fields) -> dict:
    return {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": ORIGINAL_CONTEXT} | fields


def factors(num: int, slope: float) -> list[float]:
    return [round(1.0 + slope * i, 4) for i in range(num)]


LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": ORIGINAL_CONTEXT,
}
NO_SCALING = {"rope_scaling": None}

LLAMA_CASES = [
    Case(
        "llama",
        "Llama 1/2: no scaling, as many kv heads as heads, head_dim and kv heads left to their defaults",
        {k: v for k, v in llama().items() if k != "num_key_value_heads"},
        contrasts=[{"rope_theta": 500.0}],
    ),
    Case(
        "llama_bias",
        "Llama with attention and MLP biases, head_dim that is not hidden / heads, two shards",
        llama(attention_bias=True, mlp_bias=True, head_dim=16),
        num_shards=2,
    ),
    Case(
        "llama_llama3",
        "Llama 3.1: rope_type llama3, grouped heads",
        llama(rope_theta=500000.0, rope_scaling=LLAMA3, head_dim=16),
        lengths=[LONG],
        contrasts=[NO_SCALING],
    ),
    Case(
        "llama_linear",
        "Llama with linear scaling in the oldest spelling, type instead of rope_type",
        llama(rope_scaling={"type": "linear", "factor": 4.0}),
        lengths=[LONG],
        contrasts=[NO_SCALING],
    ),
    Case(
        "llama_rope_parameters",
        "Llama with linear scaling as Transformers 5 writes it: rope_parameters",
        {k: v for k, v in llama().items() if k != "rope_theta"}
        | {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 20000.0}},
        contrasts=[{"rope_parameters": {"rope_type": "default", "rope_theta": 20000.0}}],
    ),
    Case(
        "llama_yarn_mscale",
        "Llama with yarn, attention factor from mscale and mscale_all_dim",
        llama(rope_scaling=yarn(mscale=1.0, mscale_all_dim=0.5, beta_fast=2, beta_slow=0.1), head_dim=16),
        lengths=[LONG],
        contrasts=[NO_SCALING, {"rope_scaling": yarn(beta_fast=2, beta_slow=0.1)}],
    ),
    Case(
        "smollm2",
        "SmolLM2: three heads on one kv head, tied embeddings",
        llama(
            hidden_size=48, num_attention_heads=3, num_key_value_heads=1, rope_theta=100000.0, tie_word_embeddings=True
        ),
    ),
]

OTHER_CASES = [
    Case(
        "mistral",
        "Mistral: sliding window, head_dim that is not hidden / heads",
        config_of("mistral", "MistralForCausalLM", head_dim=16, rope_theta=1000000.0, sliding_window=WINDOW),
        contrasts=[{"sliding_window": None}, {"sliding_window": WINDOW + 1}],
    ),
    Case(
        "mistral_no_window",
        "Mistral since 0.2: sliding_window is null",
        config_of("mistral", "MistralForCausalLM", rope_theta=1000000.0, sliding_window=None),
    ),
    Case(
        "qwen2",
        "Qwen2: biases on q, k and v, tied embeddings, a window that use_sliding_window switches off",
        qwen2(tie_word_embeddings=True, use_sliding_window=False, sliding_window=WINDOW, max_window_layers=1),
        contrasts=[{"use_sliding_window": True}],
    ),
    Case(
        "qwen2_window",
        "Qwen2 with the sliding window from layer max_window_layers on",
        qwen2(use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1),
        contrasts=[{"use_sliding_window": False}, {"max_window_layers": 0}],
    ),
    Case(
        "qwen2_yarn",
        "Qwen2.5 with yarn as its model card advises: attention factor from the scaling factor",
        qwen2(rope_scaling=yarn(type="yarn"), head_dim=16),
        lengths=[LONG],
        contrasts=[NO_SCALING],
    ),
    Case(
        "qwen3",
        "Qwen3: norms on q and k, head_dim that is not hidden / heads",
        qwen3(),
    ),
    Case(
        "qwen3_yarn",
        "Qwen3 tied, with yarn: explicit attention factor, fractional correction range (truncate false)",
        qwen3(tie_word_embeddings=True, rope_scaling=yarn(attention_factor=1.5, beta_slow=0.05, truncate=False)),
        lengths=[LONG],
        contrasts=[NO_SCALING, {"rope_scaling": yarn(attention_factor=1.5, beta_slow=0.05)}],
    ),
    Case(
        "gemma3",
        "Gemma 3: local and global layers by sliding_window_pattern, linear scaling on the global ones only",
        gemma3(
            rope_theta=1000000.0,
            rope_local_base_freq=10000.0,
            rope_scaling={"factor": 8.0, "rope_type": "linear"},
            sliding_window_pattern=2,
        ),
        lengths=[LONG],
        contrasts=[NO_SCALING, {"sliding_window_pattern": 3}, {"sliding_window": 256}],
    ),
    Case(
        "gemma3_soft_caps",
        "Gemma 3 in Transformers 5 style: layer_types, rope_parameters by layer type, both soft caps, biases",
        gemma3(
            layer_types=["full_attention", "sliding_attention", "full_attention"],
            rope_parameters={
                "sliding_attention": {"rope_type": "default", "rope_theta": 5000.0},
                "full_attention": {"rope_type": "default", "rope_theta": 300000.0},
            },
            attn_logit_softcapping=2.0,
            final_logit_softcapping=3.0,
            attention_bias=True,
        ),
        contrasts=[{"attn_logit_softcapping": None}, {"final_logit_softcapping": None}],
    ),
    Case(
        "gemma3_multimodal",
        "Gemma 3 with text_config and the vision tower's tensors; names as first published",
        {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3"}
        | {"text_config": gemma3(sliding_window_pattern=2), "vision_config": {"model_type": "siglip_vision_model"}},
        rename=[("model.", "language_model.model."), ("lm_head.", "language_model.lm_head.")],
        extra_tensors={"vision_tower.vision_model.post_layernorm.weight": (8,)},
    ),
    Case(
        "gemma3_multimodal_v5",
        "Gemma 3 with text_config; names as Transformers 5 holds them",
        {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3"}
        | {"text_config": gemma3(sliding_window_pattern=2), "vision_config": {"model_type": "siglip_vision_model"}},
        rename=[("model.", "model.language_model.")],
        extra_tensors={"model.vision_tower.vision_model.post_layernorm.weight": (8,)},
    ),
    Case(
        "phi3",
        "Phi-3: fused qkv and gate_up, sliding window",
        phi3(sliding_window=WINDOW),
        contrasts=[{"sliding_window": None}],
    ),
    Case(
        "phi3_longrope",
        "Phi-3 128k: longrope, short factors up to the original context and long ones for sequences beyond it",
        phi3(
            sliding_window=None,
            rope_scaling={"type": "longrope", "short_factor": factors(4, 0.1), "long_factor": factors(4, 2.0)},
        ),
        lengths=[28, LONG],
        contrasts=[NO_SCALING],
    ),
    Case(
        "phi4_mini",
        "Phi-4-mini: longrope on three quarters of each head, tied embeddings",
        phi3(
            head_dim=16,
            tie_word_embeddings=True,
            partial_rotary_factor=0.75,
            rope_scaling={"type": "longrope", "short_factor": factors(6, 0.1), "long_factor": factors(6, 2.0)},
            num_attention_heads=2,
            num_key_value_heads=1,
        ),
        lengths=[28, LONG],
        contrasts=[NO_SCALING],
    ),
    Case(
        "phi4_partial",
        "Phi-4 with a rotation of half of each head, in Transformers 5 style",
        {k: v for k, v in phi3().items() if k not in ("rope_theta", "rope_scaling")}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 250.0, "partial_rotary_factor": 0.5}},
        contrasts=[{"rope_parameters": {"rope_type": "default", "rope_theta": 250.0}}],
    ),
]

HALF_CASES = [
    Case("llama_float16", "A float16 checkpoint", llama(head_dim=16), storage="float16"),
    Case("llama_bfloat16", "A bfloat16 checkpoint", llama(head_dim=16), storage="bfloat16"),
    Case(
        "gemma3_bfloat16",
        "A bfloat16 checkpoint of Gemma 3, whose embedding scale is rounded to bfloat16 when run in it",
        gemma3(sliding_window_pattern=2),
        storage="bfloat16",
    ),
]

CASES = LLAMA_CASES + OTHER_CASES + HALF_CASES
