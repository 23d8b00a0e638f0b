"""What constraints cost: token/s of 16 rows, of which 12 have constraints of mixed kinds, against 16 free ones.

Usage: python3 bench/constrained.py URL [--tokens N] [--rounds N]. Both kinds of rounds take turns on one running
server (`serve --max-sequences 16`); every row decodes the same number of tokens. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
import urllib.request
from typing import Any

NUM_ROWS = 16
PROMPT = "Write down everything you know about the weather in Europe, item by item."
ENDLESS_ARRAY = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "kind": {"enum": ["sun", "rain", "snow"]},
            "size": {"type": "integer"},
        },
        "required": ["name", "kind", "size"],
        "additionalProperties": False,
    },
    "minItems": 1000,
}
CONSTRAINTS: list[dict[str, Any]] = [
    {"structured_outputs": {"json": ENDLESS_ARRAY}},
    {"structured_outputs": {"regex": "([A-Za-z ,.]{1,40}\n){1000}"}},
    {"structured_outputs": {"grammar": 'start: ("- " /[a-z ]+/ "\\n")+ "END OF THE LIST"'}},
    {},
]


def ask(url: str, model: str, tokens: int, fields: dict[str, Any], counts: list[int]) -> None:
    body = {"model": model, "prompt": PROMPT, "max_tokens": tokens, "temperature": 0.8, "seed": len(counts)}
    body |= {"ignore_eos": True} | fields
    request = urllib.request.Request(
        f"{url}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=600.0) as response:
        counts.append(json.load(response)["usage"]["completion_tokens"])


def rate(url: str, model: str, tokens: int, rows: list[dict[str, Any]]) -> float:
    counts: list[int] = []
    threads = [threading.Thread(target=ask, args=(url, model, tokens, fields, counts)) for fields in rows]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - begin
    if counts != [tokens] * len(rows):
        raise SystemExit(f"rows ended early: {counts}")
    return sum(counts) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with urllib.request.urlopen(f"{arguments.url}/v1/models") as response:
        model = json.load(response)["data"][0]["id"]
    free: list[dict[str, Any]] = [{}] * NUM_ROWS
    mixed = CONSTRAINTS * (NUM_ROWS // len(CONSTRAINTS))
    rate(arguments.url, model, 8, free)
    rate(arguments.url, model, 8, mixed)
    rates: dict[str, list[float]] = {"free": [], "mixed": []}
    for _ in range(arguments.rounds):
        rates["free"].append(rate(arguments.url, model, arguments.tokens, free))
        rates["mixed"].append(rate(arguments.url, model, arguments.tokens, mixed))
    ratios = [b / a for a, b in zip(rates["free"], rates["mixed"], strict=True)]
    print(
        json.dumps(
            {
                "tokens_per_s": {kind: round(statistics.median(values), 1) for kind, values in rates.items()},
                "ratio": {
                    "median": round(statistics.median(ratios), 3),
                    "min": round(min(ratios), 3),
                    "max": round(max(ratios), 3),
                },
                "rows": NUM_ROWS,
                "tokens": arguments.tokens,
                "rounds": arguments.rounds,
            }
        )
    )


if __name__ == "__main__":
    main()
