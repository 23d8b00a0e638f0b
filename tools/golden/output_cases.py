"""Outputs of models and what a client sees of them: the cases of text_outputs.py, written by hand."""

NAMES = ["get_weather", "add", "now"]
WEATHER = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
ADD = {"name": "add", "arguments": '{"a": 1, "b": [2, 3]}'}
NOW = {"name": "now", "arguments": "{}"}
WEATHER_JSON = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'
ADD_JSON = '{"name": "add", "arguments": {"a": 1, "b": [2, 3]}}'
WEATHER_LLAMA = '{"name": "get_weather", "parameters": {"city": "Oslo"}}'
ADD_LLAMA = '{"name": "add", "parameters": {"a": 1, "b": [2, 3]}}'


def hermes(call: str) -> str:
    return f"<tool_call>\n{call}\n</tool_call>"


def case(name: str, format_name: str | None, text: str, *, calls=(), shown="", **more) -> dict:
    """`more`: reasoning (the format), reasoned (the expectation), start, names."""
    return {
        "name": name,
        "tools": format_name,
        "names": more.get("names", NAMES),
        "reasoning": more.get("reasoning"),
        "start": more.get("start", "by_mark"),
        "output": text,
        "expected": {"reasoning": more.get("reasoned", ""), "text": shown, "calls": list(calls)},
    }


def same(name: str, format_name: str | None, text: str) -> dict:
    """An output that is nothing but text."""
    return case(name, format_name, text, shown=text)


HERMES = [
    case("hermes: one call", "hermes", hermes(WEATHER_JSON), calls=[WEATHER]),
    case(
        "hermes: text before", "hermes", "Let me look.\n" + hermes(WEATHER_JSON), calls=[WEATHER], shown="Let me look."
    ),
    case("hermes: two calls", "hermes", hermes(WEATHER_JSON) + "\n" + hermes(ADD_JSON) + "\n", calls=[WEATHER, ADD]),
    case(
        "hermes: text between",
        "hermes",
        hermes(WEATHER_JSON) + "\nand\n" + hermes(ADD_JSON),
        calls=[WEATHER, ADD],
        shown="\nand",
    ),
    case(
        "hermes: arguments first",
        "hermes",
        hermes('{"arguments": {"city": "Oslo"}, "name": "get_weather"}'),
        calls=[WEATHER],
    ),
    case(
        "hermes: other members",
        "hermes",
        hermes('{"id": 3, "type": "function", "name": "now", "arguments": {}}'),
        calls=[NOW],
    ),
    case("hermes: no arguments", "hermes", hermes('{"name": "now"}'), calls=[NOW]),
    case("hermes: arguments are null", "hermes", hermes('{"name": "now", "arguments": null}'), calls=[NOW]),
    case("hermes: no blanks", "hermes", f"<tool_call>{WEATHER_JSON}</tool_call>", calls=[WEATHER]),
    case("hermes: no end", "hermes", "<tool_call>\n" + WEATHER_JSON, calls=[WEATHER]),
    case(
        "hermes: marks in a string",
        "hermes",
        hermes('{"name": "add", "arguments": {"a": "</tool_call>}\\"<tool_call>"}}'),
        calls=[{"name": "add", "arguments": '{"a": "</tool_call>}\\"<tool_call>"}'}],
    ),
    case(
        "hermes: unicode",
        "hermes",
        hermes('{"name": "add", "arguments": {"größe": "日本 \\u00e9 😀"}}'),
        calls=[{"name": "add", "arguments": '{"größe": "日本 \\u00e9 😀"}'}],
    ),
    case(
        "hermes: a raw line break in a string",
        "hermes",
        hermes('{"name": "add", "arguments": {"a": "x\ny"}}'),
        calls=[{"name": "add", "arguments": '{"a": "x\\ny"}'}],
    ),
    case(
        "hermes: nested",
        "hermes",
        hermes('{"name": "add", "arguments": {"a": {"b": [{}, [1.5e3, null, true]]}}}'),
        calls=[{"name": "add", "arguments": '{"a": {"b": [{}, [1.5e3, null, true]]}}'}],
    ),
    same("hermes: text alone", "hermes", "Compare 1 < 2 and <tool> tags.\n"),
    same("hermes: unknown tool", "hermes", hermes('{"name": "rm", "arguments": {}}')),
    same("hermes: no JSON", "hermes", "<tool_call>\nget_weather\n</tool_call>"),
    same("hermes: arguments are a list", "hermes", hermes('{"name": "add", "arguments": [1]}')),
    same("hermes: no name", "hermes", hermes('{"arguments": {"a": 1}}')),
    same("hermes: cut in the name", "hermes", '<tool_call>\n{"name": "get_wea'),
    same("hermes: cut in the mark", "hermes", "It is <tool_ca"),
    case(
        "hermes: cut in the arguments",
        "hermes",
        '<tool_call>\n{"name": "add", "arguments": {"a": 1',
        calls=[{"name": "add", "arguments": '{"a": 1'}],
    ),
    case(
        "hermes: broken in the arguments",
        "hermes",
        '<tool_call>\n{"name": "add", "arguments": {"a": 1,,}}\n</tool_call>',
        calls=[{"name": "add", "arguments": '{"a": 1,'}],
        shown=",}}\n</tool_call>",
    ),
    case(
        "hermes: a broken call, then a sound one",
        "hermes",
        "<tool_call>{bad}</tool_call>" + hermes(ADD_JSON),
        calls=[ADD],
        shown="<tool_call>{bad}</tool_call>",
    ),
    case(
        "hermes: a mark within a broken call",
        "hermes",
        "<tool_call><tool_call>" + ADD_JSON + "</tool_call>",
        calls=[ADD],
        shown="<tool_call>",
    ),
    case(
        "hermes: any name",
        "hermes",
        hermes('{"name": "rm-2.x", "arguments": {}}'),
        calls=[{"name": "rm-2.x", "arguments": "{}"}],
        names=[],
    ),
]

LLAMA3 = [
    case("llama3: the whole output", "llama3", WEATHER_LLAMA, calls=[WEATHER]),
    case("llama3: after the tag", "llama3", "<|python_tag|>" + WEATHER_LLAMA, calls=[WEATHER]),
    case("llama3: two calls", "llama3", f"{WEATHER_LLAMA}; {ADD_LLAMA}", calls=[WEATHER, ADD]),
    case(
        "llama3: two calls after the tag",
        "llama3",
        f"<|python_tag|>{WEATHER_LLAMA};{ADD_LLAMA}\n",
        calls=[WEATHER, ADD],
    ),
    case("llama3: named arguments", "llama3", "\n" + WEATHER_JSON, calls=[WEATHER]),
    case(
        "llama3: function type",
        "llama3",
        '{"type": "function", "name": "add", "parameters": {"a": 1, "b": [2, 3]}}',
        calls=[ADD],
    ),
    case("llama3: a trained tool", "llama3", '<|python_tag|>get_weather.call(city="Oslo")', calls=[WEATHER]),
    case("llama3: text before the tag", "llama3", "Sure.<|python_tag|>" + ADD_LLAMA, calls=[ADD], shown="Sure."),
    same("llama3: JSON that is no call", "llama3", '{"answer": 42, "name": "Ann"}'),
    same("llama3: JSON later in the text", "llama3", "The call would be " + WEATHER_LLAMA),
    same("llama3: code after the tag", "llama3", "<|python_tag|>print(1 + 1)"),
    case("llama3: a call, then text", "llama3", ADD_LLAMA + " is what I call.", calls=[ADD], shown=" is what I call."),
    case("llama3: a call, then no call", "llama3", ADD_LLAMA + '; {"x": 1}', calls=[ADD], shown='; {"x": 1}'),
]

MISTRAL = [
    case("mistral: one call", "mistral", f"[TOOL_CALLS] [{WEATHER_JSON}]", calls=[WEATHER]),
    case("mistral: two calls", "mistral", f"[TOOL_CALLS][{WEATHER_JSON}, {ADD_JSON}]", calls=[WEATHER, ADD]),
    case(
        "mistral: ids of its own",
        "mistral",
        '[TOOL_CALLS] [{"name": "now", "arguments": {}, "id": "abcdefghi"}]',
        calls=[NOW],
    ),
    case("mistral: named", "mistral", '[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}', calls=[WEATHER]),
    case(
        "mistral: named twice with ids",
        "mistral",
        '[TOOL_CALLS]get_weather[CALL_ID]abc123def[ARGS]{"city": "Oslo"}[TOOL_CALLS]now[ARGS]{}',
        calls=[WEATHER, NOW],
    ),
    case("mistral: named without a mark", "mistral", '[TOOL_CALLS]get_weather{"city": "Oslo"}', calls=[WEATHER]),
    case("mistral: text before", "mistral", f"One moment. [TOOL_CALLS] [{ADD_JSON}]", calls=[ADD], shown="One moment."),
    same("mistral: text alone", "mistral", "A list: [1, 2] and [TOOL"),
    same("mistral: an empty list", "mistral", "[TOOL_CALLS] []"),
    same("mistral: unknown tool", "mistral", "[TOOL_CALLS]rm[ARGS]{}"),
    case("mistral: the second call is broken", "mistral", f"[TOOL_CALLS][{ADD_JSON}, 5]", calls=[ADD], shown=", 5]"),
]

PHI = [
    case("phi: one call", "phi", f"<|tool_call|>[{WEATHER_JSON}]<|/tool_call|>", calls=[WEATHER]),
    case("phi: two calls", "phi", f"<|tool_call|>[{WEATHER_JSON},{ADD_JSON}]<|/tool_call|>", calls=[WEATHER, ADD]),
    case("phi: functools", "phi", f"functools[{WEATHER_JSON}]", calls=[WEATHER]),
    case("phi: functools with arguments as parameters", "phi", f"functools[{ADD_LLAMA}]", calls=[ADD]),
    same("phi: the module of that name", "phi", "Use functools.partial, or functools[0]."),
    same("phi: no call", "phi", "<|tool_call|>none<|/tool_call|>"),
]

GEMMA = [
    case("gemma: Python in a fence", "gemma", '```tool_code\nget_weather(city="Oslo")\n```', calls=[WEATHER]),
    case("gemma: printed", "gemma", "```tool_code\nprint(get_weather(city='Oslo'))\n```", calls=[WEATHER]),
    case(
        "gemma: two lines",
        "gemma",
        "```tool_code\nget_weather(city='Oslo')\nadd(a=1, b=[2, 3])\n```",
        calls=[WEATHER, ADD],
    ),
    case(
        "gemma: a list in a fence",
        "gemma",
        "Yes:\n```tool_code\n[add(a=1, b=[2, 3]), now()]\n```",
        calls=[ADD, NOW],
        shown="Yes:",
    ),
    case(
        "gemma: FunctionGemma",
        "gemma",
        "<start_function_call>call:get_weather{city:<escape>Oslo<escape>}<end_function_call>",
        calls=[WEATHER],
    ),
    case(
        "gemma: Gemma 4",
        "gemma",
        '<|tool_call>call:get_weather{city:<|"|>Oslo<|"|>}<tool_call|><|tool_call>call:add{a:1,b:[2,3]}<tool_call|>',
        calls=[WEATHER, ADD],
    ),
    case(
        "gemma: Gemma 4, nested",
        "gemma",
        '<|tool_call>call:add{a:{x:<|"|>1 < 2, "q"\n<|"|>},b:[true,null,-1.5]}<tool_call|>',
        calls=[{"name": "add", "arguments": '{"a": {"x": "1 < 2, \\"q\\"\\n"}, "b": [true, null, -1.5]}'}],
    ),
    same("gemma: other code", "gemma", "```python\nget_weather(city='Oslo')\n```"),
    same("gemma: no call in a fence", "gemma", "```tool_code\nx = 1\n```"),
    same("gemma: an empty fence", "gemma", "```tool_code\n```"),
    same("gemma: unknown tool", "gemma", "<start_function_call>call:rm{}<end_function_call>"),
]

SEP = "<｜tool▁sep｜>"
DEEP_BEGIN, DEEP_END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
ONE_BEGIN, ONE_END = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"


def deep(name: str, arguments: str) -> str:
    return f"{ONE_BEGIN}function{SEP}{name}\n```json\n{arguments}\n```{ONE_END}"


DEEPSEEK = [
    case(
        "deepseek: one call",
        "deepseek",
        DEEP_BEGIN + deep("get_weather", '{"city": "Oslo"}') + DEEP_END,
        calls=[WEATHER],
    ),
    case(
        "deepseek: two calls",
        "deepseek",
        DEEP_BEGIN + deep("get_weather", '{"city": "Oslo"}') + "\n" + deep("now", "{}") + DEEP_END,
        calls=[WEATHER, NOW],
    ),
    case(
        "deepseek: V3.1",
        "deepseek",
        f'Well.{DEEP_BEGIN}{ONE_BEGIN}get_weather{SEP}{{"city": "Oslo"}}{ONE_END}{ONE_BEGIN}now{SEP}{{}}{ONE_END}{DEEP_END}',
        calls=[WEATHER, NOW],
        shown="Well.",
    ),
    case("deepseek: no outer marks", "deepseek", deep("now", "{}"), calls=[NOW]),
    same("deepseek: no call", "deepseek", f"{DEEP_BEGIN}none"),
    same("deepseek: an end alone", "deepseek", f"none{DEEP_END}"),
    same("deepseek: unknown tool", "deepseek", deep("rm", "{}")),
    same("deepseek: half a mark", "deepseek", "a <｜tool▁calls"),
]

PYTHONIC = [
    case("pythonic: one call", "pythonic", '[get_weather(city="Oslo")]', calls=[WEATHER]),
    case("pythonic: two calls", "pythonic", "[get_weather(city='Oslo'), add(a=1, b=[2, 3,])]\n", calls=[WEATHER, ADD]),
    case("pythonic: between marks", "pythonic", "<|python_start|>[now()]<|python_end|>", calls=[NOW]),
    case(
        "pythonic: all values",
        "pythonic",
        "[add(a=True, b=None, c=-1_000.5, d={'k': (1, .5, 2.)}, e=False, f=1e3, g=[])]",
        calls=[
            {
                "name": "add",
                "arguments": '{"a": true, "b": null, "c": -1000.5, "d": {"k": [1, 0.5, 2.0]}, "e": false, "f": 1e3, "g": []}',
            }
        ],
    ),
    case(
        "pythonic: strings",
        "pythonic",
        r"""[add(a='it\'s "q"', b="\x41\u00e9\n\d", c='\U0001F600')]""",
        calls=[
            {
                "name": "add",
                "arguments": r'{"a": "it' + r"'" + r's \"q\"", "b": "\u0041\u00e9\n\\d", "c": "\ud83d\ude00"}',
            }
        ],
    ),
    case(
        "pythonic: unicode",
        "pythonic",
        "[add(a='größe 日本')]",
        calls=[{"name": "add", "arguments": '{"a": "größe 日本"}'}],
    ),
    same("pythonic: a list of text", "pythonic", "[1] is a footnote, [get_weather] is a name."),
    same("pythonic: unknown tool", "pythonic", "[rm(path='/')]"),
    same("pythonic: positional arguments", "pythonic", "[add(1, 2)]"),
    same("pythonic: later in the text", "pythonic", "I would call [now()]"),
    case(
        "pythonic: a value that is none",
        "pythonic",
        "[add(a=1, b=x)]",
        calls=[{"name": "add", "arguments": '{"a": 1, "b": '}],
        shown="x)]",
    ),
]


def thinks(name: str, text: str, reasoned: str, shown: str, **more) -> dict:
    return case(
        name,
        more.pop("tools", None),
        text,
        reasoning=more.pop("reasoning", "think"),
        reasoned=reasoned,
        shown=shown,
        **more,
    )


REASONING = [
    thinks("think: both", "<think>\nI see.\n</think>\n\nYes.", "I see.", "Yes."),
    thinks("think: opened by the prompt", "I see.\n</think>\n\nYes.\n", "I see.", "Yes.\n", start="inside"),
    thinks("think: none", "Yes, <think> is a tag.", "", "Yes, <think> is a tag."),
    thinks("think: empty", "<think>\n\n</think>\n\nYes.", "", "Yes."),
    thinks("think: never ends", "<think>I see no end\n", "I see no end", ""),
    thinks("think: blanks within", "<think> a \n\n b  </think> c d ", "a \n\n b", "c d "),
    thinks("think: half an end", "<think>a </thin b</think>c", "a </thin b", "c"),
    thinks("think: cut in the end", "<think>a </thi", "a </thi", ""),
    thinks("think: a second beginning", "<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
    thinks("mistral: both", "[THINK]Hm [1].[/THINK]Yes.", "Hm [1].", "Yes.", reasoning="mistral"),
    thinks("gemma4: both", "<|channel>thought\nHm.\n<channel|>Yes.", "Hm.", "Yes.", reasoning="gemma4"),
    thinks(
        "harmony: both",
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
        "Hm.",
        "Yes.",
        reasoning="harmony",
    ),
    thinks("harmony: no reasoning", "<|channel|>final<|message|>Yes.", "", "Yes.", reasoning="harmony"),
    thinks(
        "a call after reasoning",
        "<think>\nHm.\n</think>\n\n" + hermes(WEATHER_JSON),
        "Hm.",
        "",
        tools="hermes",
        calls=[WEATHER],
    ),
    thinks(
        "text and a call after reasoning",
        "Hm.</think>\n\nSo:\n" + hermes(ADD_JSON),
        "Hm.",
        "So:",
        tools="hermes",
        calls=[ADD],
        start="inside",
    ),
    thinks(
        "a call in reasoning that does not end",
        "<think>Hm.\n" + hermes(WEATHER_JSON),
        "Hm.",
        "",
        tools="hermes",
        calls=[WEATHER],
    ),
    thinks("no call in reasoning that does not end", "<think>Hm. <tool_call>x", "Hm.", "<tool_call>x", tools="hermes"),
    thinks(
        "marks of tools that are not there",
        "<think>Hm. <tool_call> it is.</think>Yes.",
        "Hm. <tool_call> it is.",
        "Yes.",
    ),
    thinks("a pythonic call after reasoning", "<think>Hm.</think>\n[now()]", "Hm.", "", tools="pythonic", calls=[NOW]),
    thinks(
        "a Llama call after reasoning",
        "<think>Hm.</think>\n\n" + WEATHER_LLAMA,
        "Hm.",
        "",
        tools="llama3",
        calls=[WEATHER],
    ),
]

CASES = (
    HERMES
    + LLAMA3
    + MISTRAL
    + PHI
    + GEMMA
    + DEEPSEEK
    + PYTHONIC
    + REASONING
    + [
        same("no tools", None, hermes(WEATHER_JSON) + " \n"),
        same("nothing", "hermes", ""),
        same("blanks", "hermes", " \n\t"),
    ]
)
