"""The 2,000 strings that tokenizers are compared on: every script, emoji, control characters, random bytes, white space,
numbers, code, long words and texts that look like special tokens. The same seed gives the same strings."""

import random
import unicodedata

COUNT = 2000

WORDS = [
    "the",
    "of",
    "and",
    "a",
    "to",
    "in",
    "is",
    "you",
    "that",
    "it",
    "he",
    "was",
    "for",
    "on",
    "are",
    "as",
    "with",
    "his",
    "they",
    "I",
    "at",
    "be",
    "this",
    "have",
    "from",
    "or",
    "one",
    "had",
    "by",
    "word",
    "but",
    "not",
    "what",
    "all",
    "were",
    "we",
    "when",
    "your",
    "can",
    "said",
    "there",
    "use",
    "an",
    "each",
    "which",
    "she",
    "do",
    "how",
    "their",
    "if",
    "will",
    "up",
    "other",
    "about",
    "out",
    "many",
    "then",
    "them",
    "these",
    "so",
    "some",
    "her",
    "would",
    "make",
    "like",
    "him",
    "into",
    "time",
    "has",
    "look",
    "two",
    "more",
    "write",
    "go",
    "see",
    "number",
    "no",
    "way",
    "could",
    "people",
    "my",
    "than",
    "first",
    "water",
    "been",
    "call",
    "who",
    "oil",
    "its",
    "now",
    "find",
    "long",
    "down",
    "day",
    "did",
    "get",
    "come",
    "made",
    "may",
    "part",
    "model",
    "language",
    "server",
    "token",
    "answer",
    "question",
    "memory",
    "cache",
    "engine",
    "sampling",
    "temperature",
    "attention",
    "layer",
    "matrix",
    "vector",
]

CODE = [
    "def f(x):\n    return x * {n}\n",
    "for (int i = 0; i < {n}; ++i) {{\n\tsum += a[i];\n}}",
    'print("{w}", end="\\n")',
    "if x == {n} and not y:\n        pass  # {w}",
    "SELECT {w}, count(*) FROM t WHERE id >= {n} GROUP BY 1;",
    "<div class=\"{w}\" id='{n}'>{w}</div>",
    '{{"{w}": [{n}, {n}.5, null, true], "k": {{"{w}": "{w}"}}}}',
    "#include <{w}.h>\r\nint main() {{ return {n}; }}\r\n",
    "https://example.org/{w}/{n}?q={w}%20{w}&x=#{w}",
    "let {w}_{w} = |x: &str| -> Option<u{n}> {{ None }};",
    "$ git commit -m '{w} {w}' && make -j{n}",
    "{w}@{w}.com, {w}::{w}<{w}>(), {w}->{w}[{n}]",
]

EMOJI = [
    "😀",
    "👍🏽",
    "👩‍👩‍👧‍👦",
    "🏳️‍🌈",
    "🇩🇪🇯🇵🇧🇷",
    "1️⃣#️⃣",
    "❤️‍🔥",
    "🧑🏿‍🚀",
    "☺️☹︎",
    "🫠🫡",
    "👨‍⚕️",
    "🐈‍⬛",
    "✈️",
    "💯💯💯",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
]

LOOKALIKES = [
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|im_start",
    "|im_end|>",
    "<| im_start |>",
    "<file_sep>",
    "<s>",
    "</s>",
    "<unk>",
    "<pad>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<0x41>",
    "<0xE2><0x82>",
    "<0xZZ>",
    "▁",
    "▁▁the",
    "Ġ",
    "Ġthe",
    "Ċ",
    "<|user|>",
    "<|begin|>",
    "<|end|>",
    "<start_of_turn>",
    "<|eot_id|>",
    "<think>",
    "<tool_call>",
]

SPACES = [
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\u00a0",
    "\u2003",
    "\u3000",
    "\u200b",
    "\u2028",
    "\ufeff",
    "\v",
    "\f",
]


def _scripts() -> dict[str, list[str]]:
    """Assigned letters and marks by the first word of their name, which is the script's for all but a few."""
    scripts: dict[str, list[str]] = {}
    for code in range(0xA0, 0x20000):
        character = chr(code)
        if unicodedata.category(character)[0] in "LM":
            word = unicodedata.name(character, "NONE").split()[0]
            scripts.setdefault(word, []).append(character)
    return {name: letters for name, letters in scripts.items() if len(letters) >= 10}


def _digits() -> list[str]:
    numeric = (chr(code) for code in range(0x20000))
    return [character for character in numeric if unicodedata.category(character)[0] == "N"]


def _sentence(rng: random.Random, count: int) -> str:
    words = [rng.choice(WORDS) for _ in range(count)]
    if rng.random() < 0.5:
        words[0] = words[0].capitalize()
    if rng.random() < 0.2:
        words[-1] = words[-1].upper()
    return rng.choice([" ", " ", " ", ", "]).join(words) + rng.choice([".", "!", "?", "...", "", ";"])


def _script_strings(rng: random.Random) -> list[str]:
    strings = []
    for letters in _scripts().values():
        for _ in range(3):
            words = ["".join(rng.choices(letters, k=rng.randint(1, 6))) for _ in range(rng.randint(1, 3))]
            strings.append(rng.choice([" ", " ", "", " - "]).join(words))
    return strings


def _contraction(rng: random.Random) -> str:
    tail = rng.choice(["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "’s", "’t", "'S", "'LL", "'", "''s", "'x"])
    word = rng.choice(WORDS)
    return f"{rng.choice([word, word.upper(), word.title(), 'ſ', 'É'])}{tail} {rng.choice(WORDS)}{tail}"


def _number(rng: random.Random, digits: list[str]) -> str:
    value = rng.randint(0, 10 ** rng.randint(1, 14))
    forms = [
        str(value),
        f"{value:,}",
        f"-{value}.{value % 997}",
        f"${value}",
        f"{value}%",
        f"0x{value:x}",
        f"{value}e-{value % 30}",
        f"{rng.choice(WORDS)}{value}{rng.choice(WORDS)}",
        f"{value} {value}  {value}",
        "".join(rng.choices(digits, k=5)),
        f"{rng.choice(WORDS)} {rng.choice(digits)}{rng.choice(digits)} {value}",
    ]
    return rng.choice(forms)


def _space(rng: random.Random) -> str:
    parts = []
    for _ in range(rng.randint(1, 5)):
        parts += [rng.choice(SPACES) * rng.randint(1, 4), rng.choice(["", rng.choice(WORDS), rng.choice(WORDS)])]
    return "".join(parts)


def _long(rng: random.Random) -> str:
    unit = rng.choice(["a", "ab", "the", " ", "\n", "é", "漢", "😀", "-", "=", "0", "xyz1", "\t ", "!?"])
    return unit * rng.randint(20, 160)


def make() -> list[str]:
    rng = random.Random(20240726)
    digits = _digits()
    strings = ["", " ", "\n", "a", "\0", "\u0301", "🏽"]
    strings += _script_strings(rng)
    for _ in range(130):
        strings.append(rng.choice(["", " ", "a "]).join(rng.choices([*EMOJI, rng.choice(WORDS)], k=rng.randint(1, 4))))
    for _ in range(100):
        controls = [
            chr(code) for code in [*range(0x20), 0x7F, *range(0x80, 0xA0), 0xAD, 0x200D, 0x2060, 0xFFFE, 0xE0001]
        ]
        strings.append("".join(rng.choices([*controls, rng.choice(WORDS)], k=rng.randint(1, 6))))
    for _ in range(180):
        strings.append(rng.randbytes(rng.randint(1, 20)).decode("utf-8", errors="replace"))
    strings += [_space(rng) for _ in range(150)]
    strings += [_number(rng, digits) for _ in range(150)]
    for _ in range(130):
        strings.append(rng.choice(CODE).format(n=rng.randint(0, 4096), w=rng.choice(WORDS)))
    strings += [_long(rng) for _ in range(40)]
    for _ in range(150):
        strings.append(
            rng.choice(["", " ", "x", "\n"]).join(rng.choices([*LOOKALIKES, rng.choice(WORDS)], k=rng.randint(1, 3)))
        )
    strings += [_contraction(rng) for _ in range(80)]
    for _ in range(60):
        form = rng.choice(["NFC", "NFD", "NFKD"])
        strings.append(
            unicodedata.normalize(
                form, rng.choice(["Ångström café", "한국어 글자", "ﬁne ½ ①", "Việt Nam", "q̣̇q̣̇", "ǅ ŉ"])
            )
        )
    while len(strings) < COUNT:
        strings.append(_sentence(rng, rng.randint(1, 14)))
    return strings[:COUNT]
