"""What /metrics tells of a known load, and that a real Prometheus reads it."""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import cli_support
import pytest
from metrics_support import Prometheus, Samples, get, program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NUM_REQUESTS = 200
MONITORING = cli_support.ROOT / "monitoring"
QUANTILES = (0.5, 0.9, 0.95, 0.99)
# The panels of the Grafana board that vLLM's own documentation ships.
VLLM_BOARD = (
    "histogram_quantile(0.99, sum by(le) (rate(vllm:e2e_request_latency_seconds_bucket[1m])))",
    "rate(vllm:e2e_request_latency_seconds_sum[1m]) / rate(vllm:e2e_request_latency_seconds_count[1m])",
    "rate(vllm:prompt_tokens_total[1m])",
    "rate(vllm:generation_tokens_total[1m])",
    "histogram_quantile(0.9, sum by(le) (rate(vllm:inter_token_latency_seconds_bucket[1m])))",
    "histogram_quantile(0.9, sum by(le) (rate(vllm:time_per_output_token_seconds_bucket[1m])))",
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "histogram_quantile(0.95, sum by(le) (rate(vllm:time_to_first_token_seconds_bucket[1m])))",
    "vllm:kv_cache_usage_perc",
    "vllm:gpu_cache_usage_perc",
    "sum by(le) (increase(vllm:request_prompt_tokens_bucket[1m]))",
    "sum by(le) (increase(vllm:request_generation_tokens_bucket[1m]))",
    "sum by(finished_reason) (increase(vllm:request_success_total[1m]))",
    "rate(vllm:request_queue_time_seconds_sum[1m])",
    "rate(vllm:request_prefill_time_seconds_sum[1m])",
    "rate(vllm:request_decode_time_seconds_sum[1m])",
    "sum by(le) (increase(vllm:request_max_num_generation_tokens_bucket[1m]))",
    "rate(vllm:prefix_cache_hits_total[1m]) / rate(vllm:prefix_cache_queries_total[1m])",
)


def complete(url: str, prompt: list[int], num_tokens: int) -> dict:
    body = {"prompt": prompt, "n_predict": num_tokens, "ignore_eos": True, "cache_prompt": False}
    request = urllib.request.Request(
        f"{url}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60.0) as response:
        return json.load(response)


@pytest.fixture(scope="module")
def known_load() -> Iterator[tuple[str, list[dict]]]:
    """A server after 200 requests of known lengths, and their answers with the engine's own times."""
    rng = random.Random(10)
    requests = [
        ([rng.randrange(1000, 20000) for _ in range(rng.randrange(2, 40))], rng.randrange(2, 12))
        for _ in range(NUM_REQUESTS)
    ]
    with cli_support.Server("--max-sequences", "8") as server:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda request: complete(server.url, *request), requests))
        for (prompt, num_tokens), answer in zip(requests, answers, strict=True):
            answer["asked"] = (len(prompt), num_tokens)
        yield server.url, answers


def exact_quantile(values: list[float], quantile: float) -> float:
    return sorted(values)[math.floor(quantile * (len(values) - 1))]


def test_counters_are_exact(known_load: tuple[str, list[dict]]):
    url, answers = known_load
    samples = Samples(get(f"{url}/metrics"))
    prompt_tokens = sum(answer["asked"][0] for answer in answers)
    generated = sum(answer["asked"][1] for answer in answers)
    assert samples("mlx_serving_requests_total") == NUM_REQUESTS
    assert samples("mlx_serving_requests_finished_total", reason="length") == NUM_REQUESTS
    assert samples("mlx_serving_prompt_tokens_total") == prompt_tokens
    assert samples("mlx_serving_generated_tokens_total") == generated
    assert samples("vllm:request_success_total", finished_reason="length") == NUM_REQUESTS
    assert samples("vllm:prompt_tokens_total") == prompt_tokens
    assert samples("vllm:generation_tokens_total") == generated
    assert samples("vllm:time_to_first_token_seconds_count") == NUM_REQUESTS
    assert samples("vllm:inter_token_latency_seconds_count") == generated - NUM_REQUESTS
    assert samples("vllm:request_prompt_tokens_sum") == prompt_tokens
    for edge in (1, 2, 5, 10, 20, 50):
        within = sum(answer["asked"][0] <= edge for answer in answers)
        assert samples("vllm:request_prompt_tokens_bucket", le=str(edge)) == within
    asked = samples("http_requests_total", handler="/completion", status="2xx")
    assert asked == NUM_REQUESTS


def test_quantiles_are_within_one_percent(known_load: tuple[str, list[dict]]):
    url, answers = known_load
    samples = Samples(get(f"{url}/metrics"))
    for quantile in QUANTILES:
        for kind, column in (("prompt", 0), ("generated", 1)):
            exact = exact_quantile([answer["asked"][column] for answer in answers], quantile)
            told = samples("mlx_serving_request_tokens", kind=kind, quantile=f"{quantile:g}")
            assert told == pytest.approx(exact, rel=0.01), (kind, quantile)
        # The answers carry the engine's own times of prefill and decode.
        for phase, field in (("prefill", "prompt_ms"), ("decode", "predicted_ms")):
            exact = exact_quantile([answer["timings"][field] / 1e3 for answer in answers], quantile)
            told = samples("mlx_serving_phase_seconds", phase=phase, quantile=f"{quantile:g}")
            assert told == pytest.approx(exact, rel=0.01), (phase, quantile)


def test_own_names_are_clean(known_load: tuple[str, list[dict]]):
    done = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=get(f"{known_load[0]}/metrics?names=own"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_alert_rules_load():
    done = subprocess.run(
        [program("promtool"), "check", "rules", str(MONITORING / "prometheus" / "alerts.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def board_expressions() -> list[str]:
    board = json.loads((MONITORING / "grafana" / "mlx-serving.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    return [expression.replace("$__rate_interval", "1m").replace("$model", ".*") for expression in expressions]


def alert_expressions() -> list[str]:
    text = (MONITORING / "prometheus" / "alerts.yml").read_text()
    return re.findall(r"^ +expr: (.+)$", text, re.MULTILINE)


def test_a_prometheus_scrapes_and_answers(known_load: tuple[str, list[dict]], tmp_path: Path):
    url, answers = known_load
    generated = sum(answer["asked"][1] for answer in answers)
    with Prometheus(tmp_path, url) as prometheus:
        result = prometheus.wait_until("vllm:generation_tokens_total")
        assert [float(series["value"][1]) for series in result] == [generated]
        complete(url, [1000, 1001], 3)
        # Rates need two scrapes with something between them.
        prometheus.wait_until("increase(vllm:generation_tokens_total[1m]) > 0")
        for expression in VLLM_BOARD:
            assert prometheus.query(expression), expression
        for expression in board_expressions():
            assert prometheus.query(expression), expression
        for expression in alert_expressions():
            prometheus.query(expression)  # alerts are silent; that they parse is what counts
        assert prometheus.query("up == 1")
