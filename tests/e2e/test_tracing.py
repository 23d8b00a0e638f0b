"""The spans of requests arrive at an OTLP collector."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cli_support
import pytest

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
WAIT_S = 30.0  # a hang guard


class Sink:
    """Takes OTLP over HTTP, as a collector does, and keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[dict] = []
        self.paths: set[str] = set()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                sink.paths.add(self.path)
                for resource in body["resourceSpans"]:
                    for scope in resource["scopeSpans"]:
                        sink.spans += scope["spans"]
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def trace(self, trace_id: str, count: int) -> dict[str, dict]:
        """Waits until a trace has `count` spans; by name."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            found = {span["name"]: span for span in self.spans if span["traceId"] == trace_id}
            if len(found) >= count:
                return found
            time.sleep(0.05)
        pytest.fail(f"the sink has {[span['name'] for span in self.spans]}")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def complete(url: str, traceparent: str) -> dict:
    request = urllib.request.Request(
        f"{url}/v1/completions",
        json.dumps({"model": "default", "prompt": "Once upon a time", "max_tokens": 6, "ignore_eos": True}).encode(),
        {"Content-Type": "application/json", "traceparent": traceparent},
    )
    with urllib.request.urlopen(request, timeout=60.0) as response:
        return json.load(response)


def test_a_request_is_a_tree_of_spans_under_its_callers():
    sink = Sink()
    try:
        with cli_support.Server("--otlp-endpoint", sink.url, "--model-aliases", "default") as server:
            complete(server.url, f"00-{'1' * 32}-{PARENT}-00")  # the caller does not sample it
            usage = complete(server.url, f"00-{TRACE}-{PARENT}-01")["usage"]
            spans = sink.trace(TRACE, 5)
        root = spans["llm_request"]
        assert root["parentSpanId"] == PARENT
        assert {spans[name]["parentSpanId"] for name in ("queue", "prefill", "decode")} == {root["spanId"]}
        assert spans["prefill_chunk"]["parentSpanId"] == spans["prefill"]["spanId"]
        order = [int(spans[name]["startTimeUnixNano"]) for name in ("queue", "prefill", "decode")]
        assert order == sorted(order)
        assert abs(int(root["endTimeUnixNano"]) / 1e9 - time.time()) < WAIT_S
        attributes = {item["key"]: item["value"] for item in root["attributes"]}
        assert attributes["gen_ai.usage.output_tokens"] == {"intValue": "6"}
        assert attributes["gen_ai.usage.input_tokens"] == {"intValue": str(usage["prompt_tokens"])}
        assert sink.paths == {"/v1/traces"}
        assert all(span["traceId"] == TRACE for span in sink.spans)
    finally:
        sink.close()
