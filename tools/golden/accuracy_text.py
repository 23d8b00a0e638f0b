#!/usr/bin/env python3
"""Writes tests/golden/accuracy/smollm2.json: 16 texts of 512 tokens that the default model itself wrote, sampled at temperature 1.

What a model writes is what it is asked to predict when it serves, and it is nobody's text. Needs a built binary:
    tools/golden/accuracy_text.py build/release/mlx-serving
"""

import json
import pathlib
import re
import subprocess
import sys
import urllib.request

TOPICS = (
    "A letter to a friend who moved to the coast",
    "How rain forms",
    "Recipe for a lentil soup",
    "A short history of the printing press",
    "def binary_search(values, target):",
    "Once upon a time there was a miller",
    "Minutes of the meeting of the gardening club",
    "The causes of the tides are",
    "Dear customer, thank you for your order.",
    "Three ways to learn a language are",
    "The trial began on a Monday morning.",
    "A dialogue about justice\n\nTeacher: What is it?",
    "Instructions for assembling the bookshelf:\n1.",
    "In mathematics, a prime number is",
    "The most beautiful walk in the valley",
    "Release notes\n\n- Fixed",
)
NUM_TOKENS = 512
OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/accuracy/smollm2.json"


def ask(url: str, path: str, body: dict | None = None) -> dict:
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as response:
        return json.load(response)


def main() -> int:
    serve = [sys.argv[1], "serve", "--port", "0", "--precision", "exact", "--kv-dtype", "float32"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            url = next(found.group() for line in server.stdout if (found := re.search(r"http://[\d.]+:\d+", line)))
            model = ask(url, "/v1/models")["data"][0]["id"]
            texts = []
            for seed, topic in enumerate(TOPICS):
                body = {"prompt": topic, "max_tokens": NUM_TOKENS + 64, "temperature": 1.0, "seed": seed, "ignore_eos": True}
                written = topic + ask(url, "/v1/completions", {"model": model, **body})["choices"][0]["text"]
                texts.append(ask(url, "/tokenize", {"content": written})["tokens"][:NUM_TOKENS])
        finally:
            server.terminate()
    assert all(len(text) == NUM_TOKENS for text in texts)
    OUT.write_text(json.dumps({"model": "SmolLM2-135M-Instruct.Q4_1", "texts": texts}, separators=(",", ":")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
