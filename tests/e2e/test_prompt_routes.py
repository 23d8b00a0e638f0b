"""Counts, ids and texts of prompts equal what the requests themselves use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openai
    from conftest import ServerProcess

MESSAGES = [{"role": "user", "content": "Say hello."}]


def test_ids_and_text_are_inverse(server: ServerProcess) -> None:
    text = "One, two, three <|im_end|> \u00e9\U0001f600"
    tokens = server.post("/tokenize", {"content": text})["tokens"]
    assert server.post("/detokenize", {"tokens": tokens})["content"] == text
    reply = server.post("/tokenize", {"prompt": text, "return_token_strs": True})
    assert reply["tokens"] == tokens
    assert reply["count"] == len(tokens) == len(reply["token_strs"])
    assert "<|im_end|>" in reply["token_strs"]


def test_counts_equal_the_usage_of_the_chat(server: ServerProcess, client: openai.OpenAI, model: str) -> None:
    reply = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=1)
    assert reply.usage is not None
    body = {"model": model, "messages": MESSAGES, "max_tokens": 1}
    assert server.post("/v1/chat/completions/input_tokens", body)["input_tokens"] == reply.usage.prompt_tokens
    assert server.post("/tokenize", {"messages": MESSAGES})["count"] == reply.usage.prompt_tokens
    estimate = server.post("/v1/estimate", body)
    assert estimate["prompt_tokens"] == reply.usage.prompt_tokens
    assert estimate["max_total_tokens"] == reply.usage.prompt_tokens + 1
    assert estimate["fits_context"] is True
    assert estimate["max_kv_bytes"] > 0


def test_the_template_gives_the_prompt(server: ServerProcess, client: openai.OpenAI, model: str) -> None:
    prompt = server.post("/apply-template", {"messages": MESSAGES})["prompt"]
    assert prompt.endswith("<|im_start|>assistant\n")
    chat = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=4, temperature=0)
    tokens = server.post("/tokenize", {"content": prompt})["tokens"]
    text = client.completions.create(model=model, prompt=tokens, max_tokens=4, temperature=0)
    assert text.choices[0].text == chat.choices[0].message.content
