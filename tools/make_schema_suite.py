"""Writes tests/golden/schemas.jsonl: the schemas that constrained outputs are tested with.

Usage: tools/make_schema_suite.py [OUTPUT]. Equal runs write equal files. A line has `name`, `bounded` (every
instance is short) and `schema`.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).resolve().parents[1] / "tests" / "golden" / "schemas.jsonl"
PER_KIND = 50
WORDS = [
    "name",
    "age",
    "city",
    "title",
    "color",
    "size",
    "status",
    "price",
    "email",
    "id",
    "code",
    "note",
    "tags",
    "items",
    "parent",
    "left",
    "right",
    "value",
    "kind",
    "unit",
    "score",
    "level",
    "start",
    "end",
    "owner",
    "street",
    "country",
    "zip",
    "phone",
    "active",
    "count",
    "total",
    "rate",
    "mode",
    "target",
    "source",
    "path",
]
PATTERNS = [
    "^[A-Z]{3}-[0-9]{4}$",
    "^[a-z]{2,8}$",
    "^#[0-9a-f]{6}$",
    "^v[0-9]+[.][0-9]{1,2}$",
    "^(yes|no|maybe)$",
    "^[A-Z][a-z]{1,6}( [A-Z][a-z]{1,6})?$",
    "^[0-9]{1,3}%$",
    "^[ab]*c$",
]
FORMATS = ["date", "time", "date-time", "email", "uuid", "ipv4", "ipv6", "hostname", "uri", "duration"]

Schema = dict[str, Any]


def string(rng: random.Random) -> Schema:
    low = rng.randint(0, 3)
    return {"type": "string", "minLength": low, "maxLength": low + rng.randint(1, 12)}


def integer(rng: random.Random) -> Schema:
    low = rng.randint(-1000, 1000)
    return {"type": "integer", "minimum": low, "maximum": low + rng.randint(1, 5000)}


def choice(rng: random.Random) -> Schema:
    values: list[Any] = rng.sample(WORDS, rng.randint(2, 6))
    if rng.random() < 0.4:
        values += rng.sample([1, 2.5, True, None, -7], 2)
    return {"enum": values}


def leaf(rng: random.Random) -> Schema:
    make = rng.choice([string, integer, choice, lambda _: {"type": "boolean"}, lambda _: {"type": "null"}])
    return make(rng)


def closed(properties: dict[str, Schema], required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def flat(rng: random.Random) -> tuple[Schema, bool]:
    names = rng.sample(WORDS, rng.randint(1, 6))
    return closed({name: leaf(rng) for name in names}, names), True


def optional(rng: random.Random) -> tuple[Schema, bool]:
    names = rng.sample(WORDS, rng.randint(3, 7))
    kept = [name for name in names if rng.random() < 0.5]
    return closed({name: leaf(rng) for name in names}, kept), True


def enums(rng: random.Random) -> tuple[Schema, bool]:
    names = rng.sample(WORDS, rng.randint(1, 4))
    properties = {name: choice(rng) for name in names}
    properties["fixed"] = {"const": rng.choice(["on", 3, None, False, ["a", 1], {"k": "v"}])}
    return closed(properties, [*names, "fixed"]), True


def nested(rng: random.Random, depth: int = 0) -> tuple[Schema, bool]:
    names = rng.sample(WORDS, 2 if depth else 3)
    properties = {name: leaf(rng) for name in names}
    if depth < rng.randint(1, 3):
        properties[names[0]] = nested(rng, depth + 1)[0]
    return closed(properties, names), True


def arrays(rng: random.Random) -> tuple[Schema, bool]:
    low = rng.randint(0, 2)
    item = leaf(rng) if rng.random() < 0.6 else flat(rng)[0]
    schema: Schema = {"type": "array", "items": item, "minItems": low, "maxItems": low + rng.randint(1, 3)}
    if rng.random() < 0.3:
        schema = {
            "type": "array",
            "prefixItems": [leaf(rng), leaf(rng)],
            "items": False,
            "minItems": 2,
        }
    return closed({"items": schema}, ["items"]), True


def recursive(rng: random.Random) -> tuple[Schema, bool]:
    name, link = rng.sample(WORDS, 2)
    node = closed({name: leaf(rng), link: {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, [name, link])
    if rng.random() < 0.5:
        node = closed(
            {name: leaf(rng), link: {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2}},
            [name],
        )
    return {"$defs": {"node": node}, "$ref": "#/$defs/node"}, False


def patterns(rng: random.Random) -> tuple[Schema, bool]:
    names = rng.sample(WORDS, rng.randint(1, 3))
    chosen = {name: rng.choice(PATTERNS) for name in names}
    properties: dict[str, Schema] = {name: {"type": "string", "pattern": pattern} for name, pattern in chosen.items()}
    is_bounded = not any("*" in pattern or "+" in pattern for pattern in chosen.values())
    return closed(properties, names), is_bounded


def formats(rng: random.Random) -> tuple[Schema, bool]:
    names = rng.sample(WORDS, rng.randint(1, 3))
    chosen = {name: rng.choice(FORMATS) for name in names}
    is_bounded = all(value in ("date", "uuid", "ipv4") for value in chosen.values())
    return closed({name: {"type": "string", "format": value} for name, value in chosen.items()}, names), is_bounded


def unions(rng: random.Random) -> tuple[Schema, bool]:
    kinds = [leaf(rng) for _ in range(rng.randint(2, 3))]
    variants = []
    for tag in rng.sample(WORDS, 2):
        body = flat(rng)[0]
        body["properties"] = {"type": {"const": tag}, **body["properties"]}
        body["required"] = ["type", *body["required"]]
        variants.append(body)
    schema = closed(
        {
            "value": {"anyOf": kinds},
            "either": {"type": ["integer", "null"], "minimum": 0, "maximum": 99},
            "shape": {"anyOf": variants},
        },
        ["value", "shape"],
    )
    return schema, True


def free(rng: random.Random) -> tuple[Schema, bool]:
    name = rng.choice(WORDS)
    schemas: list[Schema] = [
        {"type": "object", "additionalProperties": leaf(rng)},
        {"type": "array", "items": leaf(rng)},
        closed({name: {"type": "string"}}, [name]),
        closed({name: {"type": "number"}}, [name]),
        {"type": "object", "properties": {name: integer(rng)}, "required": [name]},
    ]
    return rng.choice(schemas), False


KINDS: list[Callable[[random.Random], tuple[Schema, bool]]] = [
    flat,
    optional,
    enums,
    nested,
    arrays,
    recursive,
    patterns,
    formats,
    unions,
    free,
]


def suite() -> list[dict[str, Any]]:
    entries = []
    for number in range(PER_KIND):
        for kind in KINDS:
            rng = random.Random(f"{kind.__name__} {number}")
            schema, is_bounded = kind(rng)
            entries.append({"name": f"{kind.__name__}_{number}", "bounded": is_bounded, "schema": schema})
    return entries


def main() -> None:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    lines = [json.dumps(entry, separators=(",", ":")) for entry in suite()]
    output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
