"""The official openai package works unchanged against the server."""

from __future__ import annotations

import socket
import time
import urllib.parse
from typing import TYPE_CHECKING

import openai
import pytest

if TYPE_CHECKING:
    from conftest import ServerProcess

MESSAGES = [{"role": "user", "content": "Say hello."}]
NUM_TOKENS = 6  # small: a CPU decodes a few tokens a second


def test_models(client: openai.OpenAI, model: str) -> None:
    found = client.models.retrieve(model)
    assert found.id == model
    assert found.object == "model"
    assert found.created > 1_600_000_000


def test_chat(client: openai.OpenAI, model: str) -> None:
    reply = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=NUM_TOKENS, temperature=0)
    assert reply.object == "chat.completion"
    assert reply.model == model
    assert reply.id.startswith("chatcmpl-")
    assert reply.system_fingerprint
    choice = reply.choices[0]
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert reply.usage is not None
    assert reply.usage.prompt_tokens > 0
    assert 0 < reply.usage.completion_tokens <= NUM_TOKENS
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.usage.prompt_tokens_details is not None
    assert reply.usage.prompt_tokens_details.cached_tokens is not None


def test_chat_stream_equals_whole(client: openai.OpenAI, model: str) -> None:
    whole = client.chat.completions.create(
        model=model, messages=MESSAGES, max_completion_tokens=NUM_TOKENS, temperature=0
    )
    chunks = list(
        client.chat.completions.create(
            model=model,
            messages=MESSAGES,
            max_completion_tokens=NUM_TOKENS,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert [reason for reason in reasons if reason] == [whole.choices[0].finish_reason]
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


def test_chat_stream_helper(client: openai.OpenAI, model: str) -> None:
    whole = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=NUM_TOKENS, temperature=0)
    text = whole.choices[0].message.content
    assert text
    stop = text[len(text) // 2 :][:2]  # the helper takes a reply that ends by length for an error
    with client.chat.completions.stream(
        model=model, messages=MESSAGES, max_tokens=NUM_TOKENS, temperature=0, stop=stop
    ) as stream:
        reply = stream.get_final_completion()
    assert reply.choices[0].message.content == text[: text.index(stop)]


def test_conversation_goes_on_with_the_reply_itself(client: openai.OpenAI, model: str) -> None:
    first = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=2)
    messages = [
        *MESSAGES,
        first.choices[0].message.model_dump(),
        {"role": "user", "content": [{"type": "text", "text": "And "}, {"type": "text", "text": "again."}]},
    ]
    second = client.chat.completions.create(model=model, messages=messages, max_tokens=2)
    assert second.usage is not None and first.usage is not None
    assert second.usage.prompt_tokens > first.usage.prompt_tokens


def test_completion(client: openai.OpenAI, model: str) -> None:
    reply = client.completions.create(model=model, prompt="One, two, three,", max_tokens=NUM_TOKENS, temperature=0)
    assert reply.object == "text_completion"
    assert reply.choices[0].text
    stream = client.completions.create(
        model=model, prompt="One, two, three,", max_tokens=NUM_TOKENS, temperature=0, stream=True
    )
    assert "".join(chunk.choices[0].text for chunk in stream) == reply.choices[0].text


def test_completion_of_several_prompts(client: openai.OpenAI, model: str) -> None:
    reply = client.completions.create(model=model, prompt=["One,", "Two,"], n=2, max_tokens=2)
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    from_ids = client.completions.create(model=model, prompt=[[10, 11], [12]], max_tokens=1)
    assert from_ids.usage is not None and from_ids.usage.prompt_tokens == 3


def test_stop(client: openai.OpenAI, model: str) -> None:
    whole = client.completions.create(model=model, prompt="One, two, three,", max_tokens=NUM_TOKENS, temperature=0)
    text = whole.choices[0].text
    stop = text[len(text) // 2 :][:2]
    cut = client.completions.create(
        model=model, prompt="One, two, three,", max_tokens=NUM_TOKENS, temperature=0, stop=stop
    )
    assert cut.choices[0].text == text[: text.index(stop)]
    assert cut.choices[0].finish_reason == "stop"


def test_equal_seeds_give_equal_texts(client: openai.OpenAI, model: str) -> None:
    def sample(seed: int) -> str:
        reply = client.completions.create(model=model, prompt="Once", max_tokens=8, temperature=1.5, seed=seed)
        return reply.choices[0].text

    assert sample(7) == sample(7)
    assert len({sample(seed) for seed in (7, 8, 9)}) > 1


def test_extra_fields(client: openai.OpenAI, model: str) -> None:
    reply = client.completions.create(
        model=model,
        prompt="One, two, three,",
        max_tokens=3,
        temperature=2,
        extra_body={"top_k": 1, "min_p": 0.0, "repetition_penalty": 1.0},
    )
    greedy = client.completions.create(model=model, prompt="One, two, three,", max_tokens=3, temperature=0)
    assert reply.choices[0].text == greedy.choices[0].text


def test_logit_bias_forces_a_token(client: openai.OpenAI, model: str) -> None:
    reply = client.completions.create(model=model, prompt="One", max_tokens=3, temperature=0, logit_bias={"100": 100})
    other = client.completions.create(model=model, prompt="Two", max_tokens=3, temperature=0, logit_bias={"100": 100})
    assert reply.choices[0].text == other.choices[0].text


@pytest.mark.parametrize(
    ("fields", "error", "param"),
    [
        ({"temperature": 3}, openai.BadRequestError, "temperature"),
        ({"max_tokens": 0}, openai.BadRequestError, "max_tokens"),
        ({"max_tokens": 10_000_000}, openai.BadRequestError, "messages"),
        ({"logprobs": True, "top_logprobs": 1000}, openai.BadRequestError, "top_logprobs"),
        ({"messages": []}, openai.BadRequestError, "messages"),
        ({"messages": [{"role": "user", "content": 1}]}, openai.BadRequestError, "messages[0].content"),
        ({"extra_body": {"nonsense": 1}}, openai.BadRequestError, "nonsense"),
        ({"model": "no-such-model"}, openai.NotFoundError, "model"),
    ],
)
def test_errors(
    client: openai.OpenAI, model: str, fields: dict[str, object], error: type[openai.APIStatusError], param: str
) -> None:
    for stream in (False, True):
        with pytest.raises(error) as caught:
            client.chat.completions.create(**{"model": model, "messages": MESSAGES, "stream": stream, **fields})
        assert caught.value.param == param
        assert caught.value.type == "invalid_request_error"
        assert caught.value.request_id


def test_unknown_routes_are_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="x", input="y")


def test_probes(server: ServerProcess) -> None:
    assert server.health()["status"] == "ok"
    assert server.get("/ready")["status"] == "ready"


def test_disconnect_in_a_stream_frees(server: ServerProcess, client: openai.OpenAI, model: str) -> None:
    stream = client.completions.create(model=model, prompt="Once upon a time", max_tokens=1000, stream=True)
    next(iter(stream))
    assert server.health()["num_running"] == 1
    stream.close()
    server.wait_until_idle(timeout_s=10.0)


def test_disconnect_while_waiting_frees(server: ServerProcess, model: str) -> None:
    url = urllib.parse.urlsplit(server.url)
    body = f'{{"model":"{model}","prompt":"Once upon a time","max_tokens":1000}}'
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=10.0) as connection:
        connection.sendall((head + body).encode())
        deadline = time.monotonic() + 10.0
        while server.health()["num_running"] == 0:
            assert time.monotonic() < deadline, "the request never ran"
            time.sleep(0.02)
    server.wait_until_idle(timeout_s=10.0)
