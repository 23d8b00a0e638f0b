"""top, profiles, targets and the load of `bench serve`, each against a real server.

MLX_SERVING_WRITE_PICTURES=1 writes the documentation's picture of top anew.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING

import cli_support
import pytest
from metrics_support import Samples, get

sys.path.insert(0, str(cli_support.ROOT / "tools"))
from terminal_svg import terminal_svg

if TYPE_CHECKING:
    from pathlib import Path

PICTURE = cli_support.ROOT / "docs" / "images" / "top.svg"
ALIAS = ("--model-aliases", "default")


def post(url: str, body: dict | None = None) -> bytes:
    request = urllib.request.Request(
        url, json.dumps(body or {}).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60.0) as response:
        return response.read()


def complete(url: str, num_tokens: int) -> None:
    body = {"model": "default", "prompt": "Once upon a time", "max_tokens": num_tokens, "ignore_eos": True}
    post(f"{url}/v1/completions", body)


class Load:
    """Four clients that ask until it ends."""

    def __init__(self, url: str):
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for _ in range(4)]

    def _ask(self, url: str) -> None:
        while not self._is_over.is_set():
            complete(url, 24)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()


def test_top_shows_a_server_under_load():
    with cli_support.Server(*ALIAS) as server, Load(server.url):
        complete(server.url, 8)
        done = cli_support.run("top", "--url", server.url, "--once")
    assert done.returncode == 0, done.stderr
    lines = {line[:12].strip(): line for line in done.stdout.splitlines()}
    assert float(lines["tokens/s"].split()[2]) > 0
    assert all(float(word) > 0 for word in lines["first token"].split()[2:])
    assert "SmolLM2" in done.stdout
    picture = terminal_svg(done.stdout.replace(server.url, "http://127.0.0.1:8080"))
    ElementTree.fromstring(picture)
    if os.environ.get("MLX_SERVING_WRITE_PICTURES"):
        PICTURE.write_text(picture)
    assert PICTURE.read_text().count("<text") == picture.count("<text"), "the picture in docs is of another top"


def test_top_says_what_is_wrong():
    assert "http://HOST" in cli_support.expect_error(2, "top", "--url", "127.0.0.1:1")
    done = cli_support.run("top", "--url", "http://127.0.0.1:1", "--once")
    assert done.returncode != 0
    assert "127.0.0.1:1" in done.stderr


def test_a_profile_has_steps_kernels_and_the_ring(tmp_path: Path):
    whole = tmp_path / "profile.json"
    with cli_support.Server(*ALIAS) as server, Load(server.url):
        events = json.loads(post(f"{server.url}/debug/profile?seconds=0.5"))["traceEvents"]
    names = {event["name"] for event in events}
    assert {"step", "gap", "steps in flight", "paged_attention", "down product"} <= names
    steps = [event for event in events if event["name"] == "step"]
    assert all(event["dur"] > 0 and event["args"]["decode_rows"] >= 0 for event in steps)
    kernels = sum(event["dur"] for event in events if event.get("tid") == 2 and event["ph"] == "X")
    assert kernels < 1.05 * sum(event["dur"] for event in steps)
    with cli_support.Server(*ALIAS, "--profile", str(whole)) as server:
        complete(server.url, 4)
        server.process.terminate()
        assert server.wait()[0] == 0
    events = json.loads(whole.read_text())["traceEvents"]
    assert sum(event["name"] == "step" for event in events) >= 4


def test_a_target_that_burns_sheds():
    with cli_support.Server(*ALIAS, "--slo-ttft", "0.001", "--slo-action", "shed") as server:
        complete(server.url, 2)
        rate = Samples(get(f"{server.url}/metrics"))("mlx_serving_slo_burn_rate", target="first_token", window="1m")
        assert rate == pytest.approx(100.0)  # all missed, of one in a hundred that may be
        with pytest.raises(urllib.error.HTTPError) as refused:
            end = time.monotonic() + 60  # the engine looks once a second
            while time.monotonic() < end:
                complete(server.url, 2)
        assert refused.value.code == 503
        assert int(refused.value.headers["Retry-After"]) >= 1


def test_bench_serve_and_compare(tmp_path: Path):
    results = []
    with cli_support.Server() as server:
        for number, flags in enumerate((["--concurrency", "2"], ["--rate", "20,40", "--svg", str(tmp_path / "a.svg")])):
            sizes = ["--requests", "6", "--prompt", "20", "--shared", "12", "--gen", "5"]
            report = cli_support.run_json("bench", "serve", "--url", server.url, *sizes, *flags)
            results.append(tmp_path / f"{number}.json")
            results[-1].write_text(json.dumps(report))
            for load in report["loads"]:
                assert (load["good"], load["faults"]) == (6, {})
                assert load["generated_tokens_per_second"] * load["seconds"] == pytest.approx(30)
                assert load["prompt_tokens_per_second"] * load["seconds"] == pytest.approx(120)
                assert 0 < load["ttft_ms"]["p50"] <= load["e2e_ms"]["p99"]
                assert len(load["itl_ms"]["samples"]) == 6
        told = Samples(get(f"{server.url}/metrics"))("mlx_serving_requests_finished_total", reason="length")
        assert told == 18
    ElementTree.fromstring((tmp_path / "a.svg").read_text())
    changes = cli_support.run_json("bench", "compare", *map(str, results))["changes"]
    assert {change["figure"] for change in changes} == {f"loads/0/{name}_ms" for name in ("ttft", "itl", "e2e")}
    assert all(change["low"] <= change["ratio"] <= change["high"] for change in changes)
    same = cli_support.run("bench", "compare", str(results[0]), str(results[0]))
    assert same.stdout.count("no difference shown") == 3


def test_bench_serve_reads_a_dataset(tmp_path: Path):
    dataset = tmp_path / "prompts.jsonl"
    dataset.write_text('{"prompt": "Hello there", "max_tokens": 3}\n{"prompt": "Good morning"}\n')
    with cli_support.Server() as server:
        report = cli_support.run_json("bench", "serve", "--url", server.url, "--dataset", str(dataset), "--gen", "4")
        dataset.write_text('{"text": 1}\n')
        message = cli_support.expect_error(2, "bench", "serve", "--url", server.url, "--dataset", str(dataset))
    assert "prompts.jsonl:1" in message
    load = report["loads"][0]
    assert load["good"] == 2
    assert load["generated_tokens_per_second"] * load["seconds"] == pytest.approx(7)
