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
import urllib.parse
from collections.abc import AsyncIterator

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


class _Response:
    """One HTTP/1.1 response. Not a library's: with as many streams on the server's own cores, its client is what would be measured."""

    def __init__(self, reader: asyncio.StreamReader):
        self._reader = reader
        self.status = 0
        self._headers: dict[str, str] = {}

    async def read_head(self) -> None:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.rstrip().split("\r\n")
        self.status = int(status.split(" ", 2)[1])
        pairs = (line.split(":", 1) for line in lines)
        self._headers = {name.lower(): value.strip() for name, value in pairs}

    async def parts(self) -> AsyncIterator[bytes]:
        if self._headers.get("transfer-encoding", "").lower() != "chunked":
            length = self._headers.get("content-length")
            yield await (self._reader.readexactly(int(length)) if length else self._reader.read())
            return
        while size := int((await self._reader.readline()).split(b";")[0], 16):
            yield (await self._reader.readexactly(size + 2))[:-2]

    async def body(self) -> bytes:
        return b"".join([part async for part in self.parts()])

    async def events(self) -> AsyncIterator[bytes]:
        """The data of server-sent events of one line each."""
        rest = b""
        async for part in self.parts():
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                if line.startswith(b"data: "):
                    yield line[6:].rstrip()


class Client:
    """Streams completions from an OpenAI-compatible server; as many at once as are asked for, a connection each."""

    def __init__(self, url: str):
        parts = urllib.parse.urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._model = ""

    async def __aenter__(self) -> "Client":
        self._model = (await self.get("/v1/models"))["data"][0]["id"]
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    @contextlib.asynccontextmanager
    async def _exchange(self, method: str, path: str, headers: dict[str, str], body: bytes) -> AsyncIterator[_Response]:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            own = {"Host": f"{self._host}:{self._port}", "Content-Length": str(len(body)), "Connection": "close"}
            lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in {**own, **headers}.items())]
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            response = _Response(reader)
            await response.read_head()
            yield response
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def get(self, path: str) -> dict:
        async with self._exchange("GET", path, {}, b"") as response:
            body = await response.body()
        if response.status != 200:
            raise ConnectionError(f"{path}: {response.status} {body.decode()}")
        return json.loads(body)

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
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        started = time.monotonic()
        async with self._exchange("POST", "/v1/completions", headers, json.dumps(body).encode()) as response:
            answer = Answer(response.status, started)
            if into is not None:
                into.append(answer)
            if response.status != 200:
                answer.error = (await response.body()).decode()
            else:
                await _read_events(response, answer)
        answer.ended = time.monotonic()
        return answer


async def _read_events(response: _Response, answer: Answer) -> None:
    async for data in response.events():
        if data == b"[DONE]":
            continue
        event = json.loads(data)
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
