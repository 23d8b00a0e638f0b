"""Writes a case as a GGUF file with the names, metadata and weight changes of llama.cpp's converter."""

import math
from pathlib import Path

import gguf
import numpy as np

from .case import Case
from .reference import load_config

# Transformers' module within a layer -> llama.cpp's; architecture-specific names follow.
LAYER_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
GEMMA3_NAMES = {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
TOP_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(family: str, name: str) -> str:
    module, ending = name.rsplit(".", 1)
    if module in TOP_NAMES:
        return f"{TOP_NAMES[module]}.{ending}"
    _, _, layer, within = module.split(".", 3)
    names = LAYER_NAMES | (GEMMA3_NAMES if family == "gemma3" else {})
    return f"blk.{layer}.{names[within]}.{ending}"


def permute(weight: np.ndarray, num_heads: int) -> np.ndarray:
    """Rows of each head from halves to pairs: llama.cpp rotates neighbours for the architecture llama."""
    pairs = weight.reshape(num_heads, 2, weight.shape[0] // num_heads // 2, *weight.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(weight.shape))


def convert(case: Case, config, name: str, weight: np.ndarray) -> np.ndarray:
    if case.family == "gemma3" and "norm" in name:
        return weight + 1.0
    if case.family == "llama" and ".q_proj." in name:
        return permute(weight, config.num_attention_heads)
    if case.family == "llama" and ".k_proj." in name:
        return permute(weight, config.num_key_value_heads)
    return weight


def quantize(weight: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray, gguf.GGMLQuantizationType]:
    """RETURNS: the stored bytes, the float32 values that they stand for, and their type."""
    quantization = gguf.GGMLQuantizationType[kind if weight.ndim > 1 else "F32"]
    stored = gguf.quants.quantize(weight, quantization)
    return stored, gguf.quants.dequantize(stored, quantization).reshape(weight.shape), quantization


def unpermute_rows(case: Case, config, name: str, values: np.ndarray) -> np.ndarray:
    """The inverse of convert() on the dequantized values, for the reference."""
    if case.family == "gemma3" and "norm" in name:
        return values - 1.0
    heads = {".q_proj.": config.num_attention_heads, ".k_proj.": config.num_key_value_heads}
    for part, num_heads in heads.items():
        if case.family == "llama" and part in name:
            halves = values.reshape(num_heads, values.shape[0] // num_heads // 2, 2, *values.shape[1:])
            return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))
    return values


def llama3_divisors(config, head_dim: int) -> np.ndarray:
    """rope_freqs.weight: what each frequency is divided by."""
    rope = config.rope_parameters
    low = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
    high = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
    divisors = []
    for i in range(0, head_dim, 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (i / head_dim)
        smooth = (rope["original_max_position_embeddings"] / wavelength - rope["low_freq_factor"]) / (
            rope["high_freq_factor"] - rope["low_freq_factor"]
        )
        middle = 1 / ((1 - smooth) / rope["factor"] + smooth) if high <= wavelength <= low else 1.0
        divisors.append(rope["factor"] if wavelength > low else middle)
    return np.array(divisors, np.float32)


def add_rope(writer: gguf.GGUFWriter, case: Case, config, head_dim: int) -> None:
    rope = config.rope_parameters
    if case.family == "gemma3":
        rope = rope["full_attention"]
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    elif rope["rope_type"] == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    elif rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_divisors(config, head_dim))
    elif rope["rope_type"] == "longrope":
        original = rope["original_max_position_embeddings"]
        scale = config.max_position_embeddings / original
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(scale) / math.log(original)))
        for length in ("long", "short"):
            values = np.array(rope[f"{length}_factor"], np.float32)
            writer.add_tensor(f"rope_factors_{length}.weight", values)


def add_metadata(writer: gguf.GGUFWriter, case: Case, config) -> None:
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name(case.name)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if case.family in ("llama", "qwen2", "qwen3", "gemma3"):
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    if case.family == "llama":
        writer.add_vocab_size(config.vocab_size)
        writer.add_rope_dimension_count(head_dim)
    if case.family == "phi3":
        writer.add_rope_scaling_orig_ctx_len(config.original_max_position_embeddings)
        writer.add_rope_dimension_count(int(head_dim * config.rope_parameters["partial_rotary_factor"]))
        writer.add_sliding_window(config.sliding_window or 0)
    if case.family == "gemma3":
        writer.add_sliding_window(config.sliding_window)
    add_rope(writer, case, config, head_dim)
    add_tokenizer(writer, config.vocab_size)


def add_tokenizer(writer: gguf.GGUFWriter, vocab_size: int) -> None:
    """A vocabulary of the right size; the model cases are run on token ids."""
    specials = ["<pad>", "<s>", "</s>", "<unk>"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(specials + [chr(ord("!") + i) for i in range(vocab_size - len(specials))])
    kinds = [gguf.TokenType.CONTROL] * len(specials) + [gguf.TokenType.NORMAL] * (vocab_size - len(specials))
    writer.add_token_types(kinds)
    writer.add_token_merges(['! "'])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def write_gguf(case: Case, path: Path, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """RETURNS: the weights as the reference should see them: stored, expanded and in Transformers' order."""
    config = load_config(case.config)
    writer = gguf.GGUFWriter(path, case.family)
    add_metadata(writer, case, config)
    values = {}
    for name, weight in weights.items():
        stored, expanded, kind = quantize(convert(case, config, name, weight), case.gguf)
        writer.add_tensor(gguf_name(case.family, name), stored, raw_dtype=kind)
        values[name] = unpermute_rows(case, config, name, expanded)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return values
