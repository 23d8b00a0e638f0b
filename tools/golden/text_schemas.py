"""JSON schemas with texts that satisfy them and texts that do not, by `jsonschema` with its format checker.

The schemas and the first instances are written by hand (schema_cases.py). Further instances are made of those by small
changes (a member lost, a value of another type, a number or a text a little longer); `jsonschema` tells which of them are
sound. Members stand in the schema's order, as the grammars want them.
"""

import json
from pathlib import Path

import jsonschema

from golden.schema_cases import CASES
from golden.text_storage import write_json

LAYOUTS = (
    {"separators": (",", ":")},
    {},
    {"indent": 2},
)
MAX_CHANGED = 6
# Formats that the checker passes over, and multiples that a grammar wants with all their decimals ("3.50"): only
# instances written by hand say anything of them.
UNCHANGED = ("format_duration", "format_hostname", "format_uri", "number_cents")


def _replacements(value):
    if isinstance(value, bool):
        return [None, "true"]
    if isinstance(value, int):
        return [value + 1, -value - 1, str(value), value + 0.5]
    if isinstance(value, float):
        return [value * 10, str(value)]
    if isinstance(value, str):
        return [value + "x", value[:-1], 7]
    if value is None:
        return [False, 0]
    if isinstance(value, list):
        return [value + value[-1:], value[:-1], {}]
    return [[], "{}"]


def changed(value):
    """Yields values that differ from `value` in one place."""
    yield from _replacements(value)
    if isinstance(value, dict):
        for name in value:
            yield {other: value[other] for other in value if other != name}
        yield {**value, "extra": 1}
        for name, member in value.items():
            for other in changed(member):
                yield {**value, name: other}
    if isinstance(value, list):
        for index, item in enumerate(value):
            for other in changed(item):
                yield [*value[:index], other, *value[index + 1 :]]


def _texts(values: list, start: int) -> list[str]:
    texts = []
    for index, value in enumerate(values):
        texts.append(json.dumps(value, ensure_ascii=False, **LAYOUTS[(start + index) % len(LAYOUTS)]))
    return texts


def _spread(values: list, count: int) -> list:
    step = max(1, len(values) // count)
    return values[::step][:count]


def make() -> list[dict]:
    made = []
    for number, (name, schema, sound, unsound) in enumerate(CASES):
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        kind.check_schema(schema)
        validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
        for value in sound:
            validator.validate(value)
        for value in unsound:
            assert not validator.is_valid(value), f"{name}: {value!r} is sound"
        others = [] if name in UNCHANGED else [other for value in sound for other in changed(value)]
        good = [value for value in others if validator.is_valid(value)]
        bad = [value for value in others if not validator.is_valid(value)]
        made.append(
            {
                "name": name,
                "schema": schema,
                "sound": _texts([*sound, *_spread(good, MAX_CHANGED)], number),
                "unsound": _texts([*unsound, *_spread(bad, MAX_CHANGED)], number),
            }
        )
    names = [case["name"] for case in made]
    assert len(set(names)) == len(names) >= 100, f"{len(names)} cases"
    return made


def write(folder: Path) -> None:
    write_json(folder / "schemas.json", {"comment": __doc__, "cases": make()})
