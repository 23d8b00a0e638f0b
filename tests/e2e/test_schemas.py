"""Constrained outputs are instances of their schemas: with the default model, and with random weights that
have no idea of JSON, at temperature 2. 50 of the committed schemas; with MLX_SERVING_SCHEMAS=all all 500.
"""

from __future__ import annotations

import datetime
import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import openai
import pytest
from conftest import ROOT, ServerProcess, start_server, stop

SCHEMAS = ROOT / "tests" / "golden" / "schemas.jsonl"
MAX_TOKENS = 512
NUM_CLIENTS = 16
NUM_KINDS = 10  # of schemas, which take turns
RANDOM_MODEL = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 49152,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "torch_dtype": "float32",
    "tie_word_embeddings": True,
}

checker = jsonschema.FormatChecker()


@checker.checks("date-time", raises=ValueError)
def is_date_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ].*([Zz]|[+-]\d\d:\d\d)", value):
        return False
    # Python knows neither leap seconds nor more than six digits of a second.
    plain = re.sub(r":60", ":59", re.sub(r"(\.\d{1,6})\d*", r"\1", value))
    datetime.datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", plain))
    return True


def entries() -> list[dict[str, Any]]:
    every = [json.loads(line) for line in SCHEMAS.read_text().splitlines()]
    if os.environ.get("MLX_SERVING_SCHEMAS") == "all":
        return every
    return [entry for at, entry in enumerate(every) if at // NUM_KINDS % NUM_KINDS == at % NUM_KINDS]


def ask(client: openai.OpenAI, model: str, entry: dict[str, Any], temperature: float) -> dict[str, Any]:
    schema = entry["schema"]
    reply = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": f"An example of {json.dumps(schema)[:400]}"}],
        max_tokens=MAX_TOKENS,
        temperature=temperature,
        seed=1,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}},
    )
    choice = reply.choices[0]
    result = {"name": entry["name"], "finished": choice.finish_reason == "stop", "problem": ""}
    if not result["finished"]:
        return result
    try:
        validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
        validator.validate(json.loads(choice.message.content or ""))
    except (ValueError, jsonschema.ValidationError) as error:
        result["problem"] = f"{choice.message.content!r}: {error}"[:600]
    return result


def run(server: ServerProcess, temperature: float) -> None:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0, timeout=600.0)
    model = client.models.list().data[0].id
    suite = entries()
    with ThreadPoolExecutor(NUM_CLIENTS) as pool:
        results = list(pool.map(lambda entry: ask(client, model, entry, temperature), suite))
    problems = [f"{result['name']}: {result['problem']}" for result in results if result["problem"]]
    bounded = [result for entry, result in zip(suite, results, strict=True) if entry["bounded"]]
    num_done = sum(result["finished"] for result in results)
    num_bounded_done = sum(result["finished"] for result in bounded)
    print(
        f"schemas: {len(suite)}, finished {num_done}, of them invalid {len(problems)}; "
        f"bounded {len(bounded)}, finished {num_bounded_done}"
    )
    assert not problems, "\n".join(problems)
    cut = [result["name"] for result in bounded if not result["finished"]]
    assert num_bounded_done >= 0.95 * len(bounded), cut


@pytest.fixture(scope="module")
def random_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("random")
    config = folder / "config.json"
    config.write_text(json.dumps(RANDOM_MODEL))
    running = start_server(folder / "stderr.log", "default", "--random-weights", str(config))
    try:
        yield running
    finally:
        stop(running.process)


def test_the_default_models_outputs_are_instances(server: ServerProcess) -> None:
    run(server, 1.0)


def test_outputs_of_random_weights_are_instances(random_server: ServerProcess) -> None:
    run(random_server, 2.0)
