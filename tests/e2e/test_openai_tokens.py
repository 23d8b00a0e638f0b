"""Log probabilities, echo, samplers and embeddings with the official openai package."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import openai
import pytest

if TYPE_CHECKING:
    from conftest import ServerProcess

MESSAGES = [{"role": "user", "content": "Say hello."}]
PROMPT = "The capital of France is"


def test_chat_logprobs(client: openai.OpenAI, model: str) -> None:
    ask = {"model": model, "messages": MESSAGES, "max_tokens": 4, "temperature": 0, "logprobs": True, "top_logprobs": 3}
    whole = client.chat.completions.create(**ask).choices[0]
    assert whole.logprobs is not None
    content = whole.logprobs.content
    assert content
    assert "".join(entry.token for entry in content).startswith(whole.message.content or "")
    for entry in content:
        # greedy: the token is the likeliest one
        assert entry.logprob == entry.top_logprobs[0].logprob
        assert bytes(entry.bytes or []).decode() == entry.token
        assert len(entry.top_logprobs) == 3
        assert sum(math.exp(top.logprob) for top in entry.top_logprobs) <= 1.0001
    streamed = [
        entry.token
        for chunk in client.chat.completions.create(**ask, stream=True)
        for choice in chunk.choices
        if choice.logprobs is not None
        for entry in choice.logprobs.content or []
    ]
    assert streamed == [entry.token for entry in content]


def test_echo_scores_the_prompt(client: openai.OpenAI, model: str) -> None:
    reply = client.completions.create(model=model, prompt=PROMPT, max_tokens=2, temperature=0, echo=True, logprobs=2)
    choice = reply.choices[0]
    assert choice.text.startswith(PROMPT)
    logprobs = choice.logprobs
    assert logprobs is not None
    assert "".join(logprobs.tokens or []) == choice.text
    assert (logprobs.token_logprobs or [])[0] is None
    assert all(value <= 0 for value in (logprobs.token_logprobs or [])[1:])
    assert len(logprobs.tokens or []) == reply.usage.prompt_tokens + reply.usage.completion_tokens
    # What the model says of a text as an output and as a prompt is the same.
    ids = client.completions.create(
        model=model, prompt=PROMPT, max_tokens=2, temperature=0, extra_body={"return_token_ids": True}
    ).choices[0]
    again = client.completions.create(
        model=model,
        prompt=[*ids.model_extra["prompt_token_ids"], *ids.model_extra["token_ids"]],
        max_tokens=1,
        echo=True,
        logprobs=0,
    ).choices[0]
    scored = (again.logprobs.token_logprobs or [])[-3:-1]
    assert scored == pytest.approx((logprobs.token_logprobs or [])[-2:], abs=1e-3)


def test_every_sampler_with_a_seed_repeats(client: openai.OpenAI, model: str) -> None:
    for extra in (
        {"typical_p": 0.8},
        {"top_n_sigma": 1.0},
        {"xtc_probability": 0.5, "xtc_threshold": 0.1},
        {"dry_multiplier": 0.8},
        {"mirostat": 1},
        {"mirostat": 2, "mirostat_tau": 3},
        {"dynatemp_range": 0.5},
        {"repeat_last_n": 16, "repetition_penalty": 1.2},
        {"samplers": ["top_k", "typ_p", "temperature"], "top_k": 20},
        {"bad_words": ["Hello"]},
    ):
        texts = {
            client.completions.create(model=model, prompt=PROMPT, max_tokens=5, seed=3, extra_body=extra)
            .choices[0]
            .text
            for _ in range(2)
        }
        assert len(texts) == 1, extra


def test_token_rules(client: openai.OpenAI, model: str, server: ServerProcess) -> None:
    ids = server.post("/tokenize", {"model": model, "prompt": " yes no", "add_special_tokens": False})["tokens"]
    reply = client.completions.create(
        model=model, prompt=PROMPT, max_tokens=6, extra_body={"allowed_token_ids": ids, "return_token_ids": True}
    )
    assert set(reply.choices[0].model_extra["token_ids"]) <= set(ids)
    longer = client.completions.create(
        model=model, prompt=PROMPT, max_tokens=8, temperature=0, stop=[" "], extra_body={"min_tokens": 8}
    )
    assert longer.usage.completion_tokens == 8
    kept = client.completions.create(
        model=model,
        prompt=PROMPT,
        max_tokens=8,
        temperature=0,
        stop=["."],
        extra_body={"include_stop_str_in_output": True},
    )
    assert kept.choices[0].text.endswith(".") or kept.choices[0].finish_reason == "length"


def test_unknown_values_are_refused(client: openai.OpenAI, model: str) -> None:
    for extra, param in (
        ({"typical_p": 0}, "typical_p"),
        ({"mirostat": 3}, "mirostat"),
        ({"samplers": ["nonsense"]}, "samplers[0]"),
        ({"dry_sequence_breakers": ["no such breaker"], "dry_multiplier": 1}, "dry_sequence_breakers"),
        ({"min_tokens": 9}, "min_tokens"),
        ({"suffix": "end"}, "suffix"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            client.completions.create(model=model, prompt=PROMPT, max_tokens=4, extra_body=extra)
        assert refused.value.param == param


def test_embeddings(client: openai.OpenAI, model: str) -> None:
    texts = ["A cat sits on the mat.", "A kitten rests on a rug.", "Interest rates rose by a quarter of a point."]
    reply = client.embeddings.create(model=model, input=texts)  # base64 underneath
    vectors = [item.embedding for item in reply.data]
    assert [item.index for item in reply.data] == [0, 1, 2]
    assert reply.usage.prompt_tokens == reply.usage.total_tokens > 0
    for vector in vectors:
        assert math.sqrt(sum(value * value for value in vector)) == pytest.approx(1.0, abs=1e-4)

    def likeness(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert likeness(vectors[0], vectors[1]) > likeness(vectors[0], vectors[2])
    floats = client.embeddings.create(model=model, input=texts[0], encoding_format="float").data[0].embedding
    assert floats == pytest.approx(vectors[0], abs=1e-4)
    cut = client.embeddings.create(model=model, input=texts[0], dimensions=8).data[0].embedding
    assert len(cut) == 8


def test_a_model_that_is_no_reranker_says_so(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError, match="no reranker"):
        client.post("/rerank", body={"model": model, "query": "q", "documents": ["d"]}, cast_to=object)
