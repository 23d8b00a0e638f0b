"""The official openai package's Responses API works unchanged against the server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import openai
import pytest

if TYPE_CHECKING:
    from conftest import ServerProcess

NUM_TOKENS = 6


def test_response_is_stored(client: openai.OpenAI, model: str) -> None:
    reply = client.responses.create(
        model=model,
        input="Say hello.",
        instructions="Be brief.",
        max_output_tokens=NUM_TOKENS,
        temperature=0,
        metadata={"topic": "greeting"},
    )
    assert reply.object == "response"
    assert reply.status in ("completed", "incomplete")
    assert reply.output_text
    assert reply.metadata == {"topic": "greeting"}
    assert reply.usage is not None
    assert 0 < reply.usage.output_tokens <= NUM_TOKENS
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens
    assert client.responses.retrieve(reply.id).output_text == reply.output_text
    items = client.responses.input_items.list(reply.id).data
    assert items[0].content[0].text == "Say hello."
    client.responses.delete(reply.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(reply.id)


def test_stream_equals_whole(client: openai.OpenAI, model: str) -> None:
    fields = {"model": model, "input": "Say hello.", "max_output_tokens": NUM_TOKENS, "temperature": 0}
    whole = client.responses.create(**fields)
    events = list(client.responses.create(**fields, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == f"response.{whole.status}"
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text == events[-1].response.output_text
    assert events[-1].response.usage.output_tokens == whole.usage.output_tokens


def test_stream_helper(client: openai.OpenAI, model: str) -> None:
    with client.responses.stream(model=model, input="Say hello.", max_output_tokens=3, temperature=0) as stream:
        seen = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
    assert seen


def test_responses_follow_each_other(client: openai.OpenAI, model: str) -> None:
    first = client.responses.create(model=model, input="Say hello.", max_output_tokens=3)
    second = client.responses.create(
        model=model, input="And again.", previous_response_id=first.id, max_output_tokens=1
    )
    by_hand = client.responses.create(
        model=model,
        input=[
            {"role": "user", "content": "Say hello."},
            *[item.model_dump() for item in first.output],
            {"role": "user", "content": "And again."},
        ],
        max_output_tokens=1,
    )
    assert second.usage.input_tokens == by_hand.usage.input_tokens
    assert second.previous_response_id == first.id


def test_counts_equal_the_usage(client: openai.OpenAI, model: str) -> None:
    count = client.responses.input_tokens.count(model=model, input="Say hello.")
    reply = client.responses.create(model=model, input="Say hello.", max_output_tokens=1, store=False)
    assert count.input_tokens == reply.usage.input_tokens
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(reply.id)


def test_background(client: openai.OpenAI, model: str) -> None:
    reply = client.responses.create(
        model=model, input="Say hello.", background=True, max_output_tokens=3, temperature=0
    )
    deadline = time.monotonic() + 60
    while reply.status in ("queued", "in_progress") and time.monotonic() < deadline:
        time.sleep(0.05)
        reply = client.responses.retrieve(reply.id)
    assert reply.status in ("completed", "incomplete")
    assert reply.output_text


def test_cancel(server: ServerProcess, client: openai.OpenAI, model: str) -> None:
    reply = client.responses.create(model=model, input="Count to a thousand.", background=True, max_output_tokens=1000)
    assert client.responses.cancel(reply.id).status == "cancelled"
    server.wait_until_idle(timeout_s=10.0)
    assert client.responses.retrieve(reply.id).status == "cancelled"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"input": []}, "input"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"reasoning": {"effort": "high"}}, "reasoning.effort"),
        ({"extra_body": {"nonsense": 1}}, "nonsense"),
        ({"max_output_tokens": 10_000_000}, "input"),
    ],
)
def test_errors(client: openai.OpenAI, model: str, fields: dict[str, object], param: str) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(**{"model": model, "input": "Hello.", "stream": stream, **fields})
        assert caught.value.param == param
