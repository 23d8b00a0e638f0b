"""One streamed completion and its times, and a server under test. Nothing here knows what is measured."""

import asyncio
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import subprocess
import time

import httpx2

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Each is one token of the default model with its space, so that lengths are exact.
_TEXT = (
    "the of and to in is for that on with as are by this it from at be an or was which can not have you has will "
    "their all more one also other but they we these than such may when into time use some about only how over new "
    "most between work like where people make many used first two any through our been would out up world health data "
    "system different important study research water energy food school children life history power state law public "
    "community support help process information part number level change language development family plan group"
)
WORDS = _TEXT.split()


def words(generator: random.Random, num_tokens: int) -> str:
    return "".join(" " + generator.choice(WORDS) for _ in range(num_tokens))


@dataclasses.dataclass
class Answer:
    """Times are seconds of one monotonic clock; a refusal has a status and no tokens."""

    status: int
    started: float
    token_times: list[float] = dataclasses.field(default_factory=list)
    ended: float = 0.0
    text: str = ""
    usage: dict = dataclasses.field(default_factory=dict)
    error: str = ""

    @property
    def first_token_ms(self) -> float:
        return (self.token_times[0] - self.started) * 1e3

    def gaps_ms(self) -> list[tuple[float, float]]:
        """(end of the gap, its length in milliseconds) between successive chunks."""
        pairs = zip(self.token_times, self.token_times[1:], strict=False)
        return [(late, (late - early) * 1e3) for early, late in pairs]


class Client:
    """Streams completions from an OpenAI-compatible server; as many at once as are asked for."""

    def __init__(self, url: str):
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        self._model = ""
        self._http = httpx2.AsyncClient(base_url=url, limits=limits, timeout=httpx2.Timeout(600.0))

    async def __aenter__(self) -> "Client":
        self._model = (await self.get("/v1/models"))["data"][0]["id"]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, path: str) -> dict:
        response = await self._http.get(path)
        return response.raise_for_status().json()

    async def complete(
        self, prompt: str, max_tokens: int, key: str = "", into: list[Answer] | None = None, **fields: object
    ) -> Answer:
        """`into` gets the answer as soon as its head is there, so that what was cancelled later still counts."""
        body = {
            "model": self._model,
            "prompt": prompt,
            "max_tokens": max_tokens,
            "temperature": 0.0,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
            **fields,
        }
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        started = time.monotonic()
        async with self._http.stream("POST", "/v1/completions", json=body, headers=headers) as response:
            answer = Answer(response.status_code, started)
            if into is not None:
                into.append(answer)
            if response.status_code != 200:
                answer.error = (await response.aread()).decode()
            else:
                await _read_events(response, answer)
        answer.ended = time.monotonic()
        return answer


async def _read_events(response: httpx2.Response, answer: Answer) -> None:
    async for line in response.aiter_lines():
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        event = json.loads(line[6:])
        if "error" in event:
            answer.error = json.dumps(event["error"])
        answer.usage = event.get("usage") or answer.usage
        for choice in event.get("choices", []):
            if choice.get("text"):
                answer.token_times.append(time.monotonic())
                answer.text += choice["text"]


@contextlib.asynccontextmanager
async def serving(binary: pathlib.Path, *arguments: str, **environment: str):
    """Runs `mlx-serving serve` on a free port; yields its address."""
    process = await asyncio.create_subprocess_exec(
        str(binary), "serve", "--port", "0", *arguments, stdout=subprocess.PIPE, env={**os.environ, **environment}
    )
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 120)).decode()
        if not line.startswith("ready "):
            raise RuntimeError(f"the server said {line!r} instead of ready")
        yield line.split()[1]
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
