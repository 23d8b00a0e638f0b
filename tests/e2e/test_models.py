"""Further models, the log's JSON form and a request's timeline, as an operator meets them."""

from __future__ import annotations

import json
import urllib.request

import cli_support
import openai
import pytest


def get(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=30.0) as response:
        return json.load(response)


def test_a_further_model_is_loaded_and_unloaded() -> None:
    with cli_support.Server("--models", f"second={cli_support.default_model()}", "--context-length", "512") as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0)
        states = {model.id: getattr(model, "is_loaded", None) for model in client.models.list().data}
        assert states.pop("second") is False
        (own,) = states
        prompt = {"prompt": "One, two,", "max_tokens": 4, "temperature": 0}
        replies = {name: client.completions.create(model=name, **prompt) for name in (own, "second")}
        assert replies["second"].model == "second"
        assert replies["second"].choices[0].text == replies[own].choices[0].text
        assert {model.id: getattr(model, "is_loaded", None) for model in client.models.list().data}["second"] is True
        body = json.dumps({"model": "second"}).encode()
        with urllib.request.urlopen(
            urllib.request.Request(f"{server.url}/models/unload", body), timeout=30.0
        ) as answer:
            assert json.load(answer) == {"success": True}
        assert get(f"{server.url}/v1/models")["data"][-1]["is_loaded"] is False
        with pytest.raises(openai.NotFoundError):
            client.completions.create(model="third", **prompt)


def test_wrong_entries_are_refused() -> None:
    assert "NAME=MODEL" in cli_support.expect_error(2, "serve", "--models", "second")


@pytest.mark.parametrize("with_prompts", [False, True])
def test_json_logs_hold_prompts_only_if_asked(with_prompts: bool) -> None:
    flags = ["--log-format", "json", "--log-level", "info", *(["--log-prompts"] if with_prompts else [])]
    with cli_support.Server(*flags) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0)
        model = client.models.list().data[0].id
        reply = client.completions.with_raw_response.create(model=model, prompt="A canary sings", max_tokens=2)
        request_id = reply.headers["x-request-id"]
        timeline = get(f"{server.url}/v1/requests/{request_id}")
        events = [event["event"] for event in timeline["choices"][0]["events"]]
        assert events == ["queued", "admitted", "first_token", "finished"]
        server.process.terminate()
        _, log = server.wait()
    lines = [json.loads(line) for line in log.splitlines()]
    mine = [line for line in lines if line.get("id") == request_id]
    assert any(line["message"] == "request" and line["status"] == 200 for line in mine)
    assert ("canary" in log) is with_prompts
