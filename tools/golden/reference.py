"""Runs a configuration with given weights through Transformers: eager attention, float32, one thread."""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.gemma3 import modeling_gemma3

from .case import Case, random_weight, seed_of

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
transformers.logging.set_verbosity_error()


def _gemma3_eager(module, query, key, value, attention_mask, **kwargs):
    """Gemma 3's own eager attention with the configured cap, which its layer reads but does not pass on."""
    kwargs["softcap"] = module.config.attn_logit_softcapping
    return modeling_gemma3.eager_attention_forward(module, query, key, value, attention_mask, **kwargs)


ALL_ATTENTION_FUNCTIONS.register("gemma3_eager", _gemma3_eager)
transformers.masking_utils.ALL_MASK_ATTENTION_FUNCTIONS.register("gemma3_eager", transformers.masking_utils.eager_mask)


def load_config(config: dict):
    """The configuration as Transformers reads it from disk, so that old and new styles take its own path."""
    text = config.get("text_config", config)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(text))
        return transformers.AutoConfig.from_pretrained(folder)


def build_model(config: dict, dtype: torch.dtype = torch.float32):
    parsed = load_config(config)
    attention = "gemma3_eager" if parsed.model_type == "gemma3_text" else "eager"
    model = transformers.AutoModelForCausalLM.from_config(parsed, attn_implementation=attention, dtype=dtype)
    return model.eval()


def make_weights(case: Case) -> dict[str, np.ndarray]:
    """Random weights for every parameter of the case, by name in Transformers; tied outputs are left out."""
    model = build_model(case.config)
    tied = model.config.tie_word_embeddings
    rng = np.random.Generator(np.random.PCG64(seed_of(case.name)))
    weights = {}
    for name, parameter in sorted(model.state_dict().items()):
        if tied and name == "lm_head.weight":
            continue
        weights[name] = random_weight(name, tuple(parameter.shape), rng)
        if case.family == "gemma3" and "norm" in name:
            weights[name] -= 1.0  # Gemma multiplies by 1 + w
    return weights


@torch.no_grad()
def logits_of(config: dict, weights: dict[str, np.ndarray], tokens: list[int], dtype=torch.float32) -> np.ndarray:
    """RETURNS: [T, V] float32, the whole prompt in one pass."""
    model = build_model(config, dtype)
    state = {name: torch.from_numpy(np.asarray(w, np.float32)) for name, w in weights.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    if set(missing) - tied or unexpected:
        raise RuntimeError(f"weights do not fit: missing {missing}, unexpected {unexpected}")
    return model(torch.tensor([tokens]), use_cache=False).logits[0].float().numpy()
