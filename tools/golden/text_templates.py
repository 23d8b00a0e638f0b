"""Chat templates in the manner of the well-known families, written for these tests, and what Transformers renders."""

import datetime
import re
from pathlib import Path

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from golden.text_storage import write_json

NOW = datetime.datetime(2024, 7, 6, 9, 4, 5, 42)
SPECIAL_TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
TEMPLATES = Path(__file__).resolve().parent / "chat_templates"

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city: \"now\" <b>&</b> 'soon' — ünïcödé",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Its name"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": None},
                "days": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
                "values": {"type": "object", "properties": {"items": {"type": "number", "maximum": 1e21, "step": 0.1}}},
            },
            "required": ["city"],
        },
    },
}
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "a+b",
        "strict": True,
        "parameters": {"type": "object", "properties": {}},
    },
}


def _user(content):
    return {"role": "user", "content": content}


def _assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def _system(content):
    return {"role": "system", "content": content}


CALL = {
    "id": "call_00001",
    "type": "function",
    "function": {"name": "get_weather", "arguments": {"city": "Zürich", "days": [1, 2]}},
}
TEXT_CALL = {"id": "call_00002", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2.50}'}}

CONVERSATIONS = {
    "one": {"messages": [_user("Hi <there> & 'you' \"all\"")], "add_generation_prompt": True},
    "no_prompt": {"messages": [_user("  spaces around \n"), _assistant("\n answer ")]},
    "system": {
        "messages": [_system(" Be brief.\n"), _user("What?"), _assistant("That."), _user("日本語 😀")],
        "add_generation_prompt": True,
    },
    "parts": {
        "messages": [
            _system([{"type": "text", "text": "S"}]),
            _user(
                [{"type": "text", "text": "look "}, {"type": "image", "image": "x"}, {"type": "text", "text": "here"}]
            ),
        ],
        "add_generation_prompt": True,
    },
    "tools": {"messages": [_user("Weather?")], "tools": [WEATHER, ADD], "add_generation_prompt": True},
    "tool_calls": {
        "messages": [
            _system("Use tools."),
            _user("Weather?"),
            _assistant(None, tool_calls=[CALL, TEXT_CALL]),
            {"role": "tool", "name": "get_weather", "tool_call_id": "call_00001", "content": '{"t": 21.5}'},
            {"role": "tool", "name": "add", "tool_call_id": "call_00002", "content": "3.5"},
            _assistant("It is 21.5."),
            _user("Thanks"),
        ],
        "tools": [WEATHER, ADD],
        "add_generation_prompt": True,
    },
    "reasoning": {
        "messages": [
            _user("2+2?"),
            _assistant("<think>\nfour\n</think>\n\n4"),
            _user("3+3?"),
            _assistant("6", reasoning_content="six"),
            _user("more"),
        ],
        "kwargs": {"enable_thinking": False, "reasoning_effort": "low"},
        "add_generation_prompt": True,
    },
    "twice_user": {"messages": [_user("a"), _user("b")], "add_generation_prompt": True},
    "values": {
        "messages": [_user("v")],
        "kwargs": {
            "flag": True,
            "nothing": None,
            "count": 7,
            "ratio": 0.1,
            "big": 123456789012345680.0,
            "small": 1.5e-7,
            "names": ["a", "it's", 'q"q', "é\n\t\x01\u200b"],
            "table": {"b": 1, "a": [True, None, {"x": 2.0}], "items": 3},
            "tools_in_user_message": False,
            "date_string": "1 Jan 2025",
        },
        "add_generation_prompt": True,
    },
}


class _Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def _render(tokenizer: PreTrainedTokenizerFast, source: str, case: dict) -> dict:
    try:
        text = tokenizer.apply_chat_template(
            case["messages"],
            tools=case.get("tools"),
            chat_template=source,
            add_generation_prompt=case.get("add_generation_prompt", False),
            tokenize=False,
            **case.get("kwargs", {}),
        )
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"text": text}


def write(folder: Path) -> None:
    chat_template_utils.datetime = _Clock
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), **SPECIAL_TOKENS)
    templates = []
    for path in sorted(TEMPLATES.glob("*.jinja")):
        source = path.read_text()
        # A template that only knows texts prints a list of parts as Python does; ours joins the parts' texts instead.
        cases = {name: case for name, case in CONVERSATIONS.items() if name != "parts" or "handles parts" in source}
        rendered = [
            {"name": name, **case, "expected": _render(tokenizer, source, case)} for name, case in cases.items()
        ]
        templates.append({"name": path.stem, "source": source, "cases": rendered})
    assert len(templates) >= 12
    for template in templates:
        for case in template["cases"]:
            # Addresses of Python objects are not worth comparing.
            assert not re.search(r"0x[0-9a-f]{8}", case["expected"].get("text", "")), (template["name"], case["name"])
    write_json(
        folder / "chat_templates.json",
        {
            "comment": __doc__ + " `error` is the exception's type; a TemplateError's message is the template's own.",
            "now": [NOW.year, NOW.month, NOW.day, NOW.hour, NOW.minute, NOW.second],
            "special_tokens": SPECIAL_TOKENS,
            "templates": templates,
        },
    )


def render_default(source: str) -> list[dict]:
    """The default model's own template on the conversations that it can take."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), **SPECIAL_TOKENS)
    cases = {name: case for name, case in CONVERSATIONS.items() if name != "parts"}
    return [{"name": name, **case, "expected": _render(tokenizer, source, case)} for name, case in cases.items()]
