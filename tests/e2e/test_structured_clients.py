"""Tools, structured output and reasoning through the official packages, streamed and not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import jsonschema
import ollama
import openai
import pydantic
import pytest
from conftest import ServerProcess, start_server, stop
from thinking_model import write_thinking_model

QUESTION = [{"role": "user", "content": "What is the weather in Paris?"}]
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": PARAMETERS}}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"enum": ["sun", "rain"]}, "degrees": {"type": "integer", "minimum": 0, "maximum": 40}},
    "required": ["answer", "degrees"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "weather", "strict": True, "schema": SCHEMA}}


class Weather(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    is_warm: bool
    wind: int = pydantic.Field(ge=0, le=12)


@pytest.fixture(scope="module")
def claude(server: ServerProcess) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, api_key="unused", max_retries=0, timeout=120.0)


@pytest.fixture(scope="module")
def llama(server: ServerProcess) -> ollama.Client:
    return ollama.Client(host=server.url, timeout=120.0)


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("thinker")
    running = start_server(folder / "stderr.log", *write_thinking_model(folder))
    try:
        yield running
    finally:
        stop(running.process)


def check_arguments(text: str) -> None:
    jsonschema.validate(json.loads(text), PARAMETERS)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_openai_calls_a_tool(client: openai.OpenAI, model: str, choice: Any) -> None:
    asked: dict[str, Any] = {
        "model": model,
        "messages": QUESTION,
        "tools": [TOOL],
        "tool_choice": choice,
        "parallel_tool_calls": False,
        "temperature": 0,
        "max_tokens": 200,
    }
    whole = client.chat.completions.create(**asked).choices[0]
    assert whole.finish_reason == "tool_calls"
    assert whole.message.tool_calls is not None and len(whole.message.tool_calls) == 1
    call = whole.message.tool_calls[0]
    assert call.function.name == "weather"
    check_arguments(call.function.arguments)
    arguments = ""
    names = []
    for chunk in client.chat.completions.create(**asked, stream=True):
        for piece in chunk.choices[0].delta.tool_calls or []:
            arguments += piece.function.arguments or ""
            names += [piece.function.name] if piece.function.name else []
    assert names == ["weather"]
    assert arguments == call.function.arguments
    answered = [
        *QUESTION,
        whole.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "Sunny, 24 degrees"},
    ]
    reply = client.chat.completions.create(model=model, messages=answered, tools=[TOOL], max_tokens=20)
    assert reply.choices[0].message.content or reply.choices[0].message.tool_calls


def test_openai_parses_a_response_format(client: openai.OpenAI, model: str) -> None:
    parsed = client.chat.completions.parse(
        model=model, messages=QUESTION, response_format=Weather, max_tokens=200
    ).choices[0]
    assert isinstance(parsed.message.parsed, Weather)
    with client.chat.completions.stream(
        model=model, messages=QUESTION, response_format=Weather, max_tokens=200
    ) as stream:
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Weather)


def test_openai_names_what_cannot_be_kept(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError, match="unevaluatedProperties"):
        client.chat.completions.create(
            model=model,
            messages=QUESTION,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"unevaluatedProperties": False}},
            },
        )


def test_openai_several_choices_and_vllms_fields(client: openai.OpenAI, model: str) -> None:
    reply = client.chat.completions.create(
        model=model,
        messages=QUESTION,
        n=3,
        seed=3,
        temperature=1.5,
        max_tokens=100,
        extra_body={"structured_outputs": {"choice": ["sun", "rain", "a very long kind of snow"]}},
    )
    assert all(choice.message.content in ("sun", "rain", "a very long kind of snow") for choice in reply.choices)
    legacy = client.completions.create(
        model=model, prompt="A date:", max_tokens=40, extra_body={"guided_regex": "[0-9]{4}-[0-9]{2}"}
    )
    assert len(legacy.choices[0].text) == 7


def test_openai_responses(client: openai.OpenAI, model: str) -> None:
    parsed = client.responses.parse(model=model, input="Weather?", text_format=Weather, max_output_tokens=200)
    assert isinstance(parsed.output_parsed, Weather)
    asked: dict[str, Any] = {
        "model": model,
        "input": "Weather in Paris?",
        "tools": [{"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "max_output_tokens": 200,
        "temperature": 0,
    }
    whole = client.responses.create(**asked)
    calls = [item for item in whole.output if item.type == "function_call"]
    assert len(calls) == 1 and calls[0].name == "weather"
    check_arguments(calls[0].arguments)
    with client.responses.stream(**asked) as stream:
        final = stream.get_final_response()
    assert [item.arguments for item in final.output if item.type == "function_call"] == [calls[0].arguments]
    output = {"type": "function_call_output", "call_id": calls[0].call_id, "output": "Sunny"}
    after = client.responses.create(model=model, previous_response_id=whole.id, input=[output], max_output_tokens=10)
    assert after.output


def test_anthropic_uses_a_tool(claude: anthropic.Anthropic, model: str) -> None:
    asked: dict[str, Any] = {
        "model": model,
        "max_tokens": 200,
        "extra_body": {"temperature": 0},
        "messages": QUESTION,
        "tools": [{"name": "weather", "description": "The weather", "input_schema": PARAMETERS}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    }
    whole = claude.messages.create(**asked)
    assert whole.stop_reason == "tool_use"
    block = whole.content[-1]
    assert block.type == "tool_use" and block.name == "weather"
    jsonschema.validate(block.input, PARAMETERS)
    with claude.messages.stream(**asked) as stream:
        final = stream.get_final_message()
    assert final.content[-1].input == block.input
    answered = [
        *QUESTION,
        {"role": "assistant", "content": [block.model_dump(include={"type", "id", "name", "input"})]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": block.id, "content": "Sunny"}]},
    ]
    assert claude.messages.create(model=model, max_tokens=10, messages=answered, tools=asked["tools"]).content


def test_ollama_format_and_tools(llama: ollama.Client, model: str) -> None:
    options = {"num_predict": 200, "temperature": 0}
    whole = llama.chat(model=model, messages=QUESTION, format=SCHEMA, options=options)
    jsonschema.validate(json.loads(whole.message.content or ""), SCHEMA)
    parts = llama.chat(model=model, messages=QUESTION, format=SCHEMA, options=options, stream=True)
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    generated = llama.generate(model=model, prompt="Any object:", format=SCHEMA, options=options)
    jsonschema.validate(json.loads(generated.response), SCHEMA)
    reply = llama.chat(model=model, messages=QUESTION, tools=[TOOL], options={"num_predict": 20})
    assert reply.message.content or reply.message.tool_calls
    conversation = [
        *QUESTION,
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {"a": 1}}}]},
        {"role": "tool", "tool_name": "weather", "content": "Sunny"},
    ]
    assert llama.chat(model=model, messages=conversation, options={"num_predict": 5}).done


def test_reasoning_within_its_budget_and_then_the_schema(thinker: ServerProcess) -> None:
    client = openai.OpenAI(base_url=f"{thinker.url}/v1", api_key="unused", max_retries=0, timeout=120.0)
    name = client.models.list().data[0].id
    asked: dict[str, Any] = {
        "model": name,
        "messages": QUESTION,
        "max_tokens": 400,
        "seed": 5,
        "temperature": 1.0,
        "response_format": FORMAT,
        "extra_body": {"thinking_token_budget": 12},
    }
    whole = client.chat.completions.create(**asked)
    message = whole.choices[0].message
    assert whole.choices[0].finish_reason == "stop"
    jsonschema.validate(json.loads(message.content or ""), SCHEMA)
    assert message.reasoning_content  # type: ignore[attr-defined]
    assert message.reasoning == message.reasoning_content  # type: ignore[attr-defined]
    assert whole.usage is not None and whole.usage.completion_tokens_details is not None
    assert 12 <= (whole.usage.completion_tokens_details.reasoning_tokens or 0) <= 16
    reasoning = ""
    content = ""
    for chunk in client.chat.completions.create(**asked, stream=True):
        delta = chunk.choices[0].delta
        reasoning += getattr(delta, "reasoning_content", None) or ""
        content += delta.content or ""
    assert (reasoning, content) == (message.reasoning_content, message.content)  # type: ignore[attr-defined]


def test_thinking_of_anthropic_and_ollama(thinker: ServerProcess) -> None:
    claude = anthropic.Anthropic(base_url=thinker.url, api_key="unused", max_retries=0, timeout=120.0)
    name = claude.models.list().data[0].id
    tools = [{"name": "weather", "input_schema": PARAMETERS}]
    reply = claude.messages.create(
        model=name,
        max_tokens=400,
        messages=QUESTION,
        tools=tools,
        tool_choice={"type": "tool", "name": "weather"},
        thinking={"type": "enabled", "budget_tokens": 12},
    )
    assert [block.type for block in reply.content] == ["thinking", "tool_use"]
    jsonschema.validate(reply.content[1].input, PARAMETERS)
    with claude.messages.stream(
        model=name, max_tokens=60, messages=QUESTION, thinking={"type": "enabled", "budget_tokens": 12}
    ) as stream:
        assert stream.get_final_message().content[0].type == "thinking"
    llama = ollama.Client(host=thinker.url, timeout=120.0)
    off = llama.chat(model=name, messages=QUESTION, think=False, format=SCHEMA, options={"num_predict": 200})
    assert not off.message.thinking
    jsonschema.validate(json.loads(off.message.content or ""), SCHEMA)
    on = llama.chat(model=name, messages=QUESTION, think=True, options={"num_predict": 20})
    assert on.message.thinking
