"""The official ollama package works unchanged against the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ollama
import pytest

if TYPE_CHECKING:
    from conftest import ServerProcess

MESSAGES = [{"role": "user", "content": "Say hello."}]
OPTIONS = {"temperature": 0, "num_predict": 6}


@pytest.fixture(scope="module")
def ollama_client(server: ServerProcess) -> ollama.Client:
    return ollama.Client(host=server.url, timeout=120.0)


def test_chat_stream_equals_whole(ollama_client: ollama.Client, model: str) -> None:
    whole = ollama_client.chat(model=model, messages=MESSAGES, options=OPTIONS)
    assert whole.done and whole.done_reason in ("stop", "length")
    assert whole.message.role == "assistant" and whole.message.content
    assert whole.prompt_eval_count and 0 < (whole.eval_count or 0) <= 6
    assert whole.total_duration and whole.created_at
    parts = list(ollama_client.chat(model=model, messages=MESSAGES, options=OPTIONS, stream=True))
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].eval_count == whole.eval_count


def test_generate(ollama_client: ollama.Client, model: str) -> None:
    raw = ollama_client.generate(model=model, prompt="One, two, three,", raw=True, options=OPTIONS)
    assert raw.response
    parts = list(ollama_client.generate(model=model, prompt="One, two, three,", raw=True, options=OPTIONS, stream=True))
    assert "".join(part.response for part in parts) == raw.response
    chat = ollama_client.chat(model=model, messages=MESSAGES, options=OPTIONS)
    assert ollama_client.generate(model=model, prompt="Say hello.", options=OPTIONS).response == chat.message.content


def test_models(ollama_client: ollama.Client, model: str) -> None:
    listed = ollama_client.list().models
    assert [entry.model for entry in listed] == [model]
    assert listed[0].size and listed[0].details and listed[0].details.family == "llama"
    shown = ollama_client.show(model)
    assert shown.modelinfo and shown.modelinfo["llama.context_length"] > 0
    assert shown.capabilities == ["completion", "tools"]
    assert [entry.model for entry in ollama_client.ps().models] == [model]
    assert ollama_client.chat(model=f"{model}:latest", messages=MESSAGES, options={"num_predict": 1}).done


@pytest.mark.parametrize(
    ("fields", "status", "part"),
    [
        ({"format": {"type": "nonsense"}}, 400, "format"),
        ({"think": True}, 400, "think"),
        ({"options": {"temperature": -1}}, 400, "temperature"),
        ({"model": "no-such-model"}, 404, "no-such-model"),
    ],
)
def test_errors(ollama_client: ollama.Client, model: str, fields: dict[str, object], status: int, part: str) -> None:
    for stream in (False, True):
        with pytest.raises(ollama.ResponseError) as caught:
            list(ollama_client.chat(**{"model": model, "messages": MESSAGES, **fields}, stream=stream))
        assert caught.value.status_code == status
        assert part in caught.value.error
