"""Greedy continuations of the default model by Transformers: weights dequantized from GGUF, float32."""

import hashlib
import json
from pathlib import Path

import torch
import transformers

NUM_STEPS = 32
RAW_PROMPTS = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea,",
    "def fibonacci(n):\n    ",
    "Water boils at a temperature of",
    "1, 2, 3, 5, 8, 13,",
    "The three laws of motion were formulated by",
    "Dear Sir or Madam,\n\nI am writing to",
    "In 1969, the first humans",
    "SELECT name, age FROM users WHERE",
    "Photosynthesis is the process by which plants",
    "La gravit\u00e9 est une force qui",
    "To make a good cup of coffee, you need",
]
CHATS = [
    [{"role": "user", "content": "What is the tallest mountain on Earth?"}],
    [{"role": "user", "content": "Write one sentence about the moon."}],
    [{"role": "user", "content": "Name three primary colours."}],
    [{"role": "user", "content": "Explain why the sky is blue."}],
    [
        {"role": "system", "content": "You answer in one short sentence."},
        {"role": "user", "content": "Who wrote Hamlet?"},
    ],
    [
        {"role": "system", "content": "You are a careful teacher of arithmetic."},
        {"role": "user", "content": "What is 17 plus 25?"},
    ],
    [
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Hello! How can I help you today?"},
        {"role": "user", "content": "Tell me a fact about octopuses."},
    ],
    [{"role": "user", "content": "Translate to French: Good morning, my friend."}],
]


@torch.no_grad()
def continuation(model, tokens: list[int]) -> list[dict]:
    """RETURNS: per step the best and second token with their logits; it goes on past an end-of-sequence token."""
    steps = []
    inputs, cache = torch.tensor([tokens]), None
    for _ in range(NUM_STEPS):
        output = model(inputs, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        best = torch.topk(output.logits[0, -1], 2)
        steps.append({"tokens": best.indices.tolist(), "logits": [round(v, 5) for v in best.values.tolist()]})
        inputs = best.indices[:1].reshape(1, 1)
    return steps


def prompts_of(tokenizer) -> list[dict]:
    raw = [{"kind": "raw", "text": text} for text in RAW_PROMPTS]
    chats = []
    for messages in CHATS:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        chats.append({"kind": "chat", "messages": messages, "text": text})
    return raw + chats


def write(out: Path, gguf: Path) -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    entries = []
    for prompt in prompts_of(tokenizer):
        tokens = tokenizer(prompt["text"], add_special_tokens=False)["input_ids"]
        entries.append(prompt | {"prompt_tokens": tokens, "steps": continuation(model, tokens)})
        print(json.dumps(tokenizer.decode([s["tokens"][0] for s in entries[-1]["steps"]])))
    header = {
        "format": 1,
        "model": gguf.name,
        "sha256": hashlib.sha256(gguf.read_bytes()).hexdigest(),
        "eos_token_id": tokenizer.eos_token_id,
        "margin": 0.05,
    }
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    out.mkdir(parents=True, exist_ok=True)
    (out / "smollm2.json").write_text(f'{json.dumps(header)[:-1]}, "prompts": [\n{lines}\n]}}\n')
