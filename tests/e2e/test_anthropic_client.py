"""The official anthropic package works unchanged against the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anthropic
import pytest

if TYPE_CHECKING:
    from conftest import ServerProcess

MESSAGES = [{"role": "user", "content": "Say hello."}]
NUM_TOKENS = 6


@pytest.fixture(scope="module")
def anthropic_client(server: ServerProcess) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, api_key="unused", max_retries=0, timeout=120.0)


def prompt_tokens(usage: anthropic.types.Usage) -> int:
    return usage.input_tokens + (usage.cache_read_input_tokens or 0)


def test_message(anthropic_client: anthropic.Anthropic, model: str) -> None:
    reply = anthropic_client.messages.create(
        model=model, max_tokens=NUM_TOKENS, extra_body={"temperature": 0}, system="Be brief.", messages=MESSAGES
    )
    assert reply.type == "message"
    assert reply.role == "assistant"
    assert reply.model == model
    assert reply.id.startswith("msg_")
    assert reply._request_id
    assert reply.content[0].type == "text" and reply.content[0].text
    assert reply.stop_reason in ("end_turn", "max_tokens")
    assert reply.usage.input_tokens > 0
    assert 0 < reply.usage.output_tokens <= NUM_TOKENS


def test_stream_equals_whole(anthropic_client: anthropic.Anthropic, model: str) -> None:
    whole = anthropic_client.messages.create(
        model=model, max_tokens=NUM_TOKENS, extra_body={"temperature": 0}, messages=MESSAGES
    )
    with anthropic_client.messages.stream(
        model=model, max_tokens=NUM_TOKENS, extra_body={"temperature": 0}, messages=MESSAGES
    ) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text == whole.content[0].text == message.content[0].text
    assert message.stop_reason == whole.stop_reason
    assert message.usage.output_tokens == whole.usage.output_tokens
    # What was cached is not counted as input, and the second request finds the first one's prompt.
    assert prompt_tokens(message.usage) == prompt_tokens(whole.usage)
    assert message.usage.cache_read_input_tokens > 0


def test_raw_events_come_in_order(anthropic_client: anthropic.Anthropic, model: str) -> None:
    events = list(anthropic_client.messages.create(model=model, max_tokens=3, messages=MESSAGES, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) <= {"content_block_delta", "ping"}


def test_count_tokens(anthropic_client: anthropic.Anthropic, model: str) -> None:
    count = anthropic_client.messages.count_tokens(model=model, messages=MESSAGES)
    reply = anthropic_client.messages.create(model=model, max_tokens=1, messages=MESSAGES)
    assert count.input_tokens == prompt_tokens(reply.usage)


def test_prefill_and_stop_sequence(anthropic_client: anthropic.Anthropic, model: str) -> None:
    reply = anthropic_client.messages.create(
        model=model,
        max_tokens=12,
        extra_body={"temperature": 0},
        messages=[*MESSAGES, {"role": "assistant", "content": "One, two, three, four,"}],
    )
    text = reply.content[0].text
    assert text
    stop = text[len(text) // 2 :][:2]
    if stop.strip():
        cut = anthropic_client.messages.create(
            model=model,
            max_tokens=12,
            extra_body={"temperature": 0},
            stop_sequences=[stop],
            messages=[*MESSAGES, {"role": "assistant", "content": "One, two, three, four,"}],
        )
        assert cut.content[0].text == text[: text.index(stop)]
        assert (cut.stop_reason, cut.stop_sequence) == ("stop_sequence", stop)


@pytest.mark.parametrize(
    ("fields", "error", "part"),
    [
        ({"max_tokens": 0}, anthropic.BadRequestError, "max_tokens"),
        ({"extra_body": {"temperature": 1.5}}, anthropic.BadRequestError, "temperature"),
        ({"messages": []}, anthropic.BadRequestError, "messages"),
        ({"model": "no-such-model"}, anthropic.NotFoundError, "no-such-model"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, anthropic.BadRequestError, "thinking"),
        ({"extra_body": {"nonsense": 1}}, anthropic.BadRequestError, "nonsense"),
    ],
)
def test_errors(
    anthropic_client: anthropic.Anthropic,
    model: str,
    fields: dict[str, object],
    error: type[anthropic.APIStatusError],
    part: str,
) -> None:
    arguments = {"model": model, "max_tokens": 4, "messages": MESSAGES, **fields}
    for stream in (False, True):
        with pytest.raises(error) as caught:
            anthropic_client.messages.create(**arguments, stream=stream)
        assert part in caught.value.body["error"]["message"]
        assert caught.value.request_id
