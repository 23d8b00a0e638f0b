"""The engine: one model in this process, answering many requests at a time."""

from __future__ import annotations

import asyncio
import json
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from . import _native
from ._border import completion_body, is_one_prompt, to_json
from .errors import EngineError, InvalidRequestError, RateLimitExceededError, UnsupportedError
from .streams import AsyncStream, LoopHub, Stream
from .types import Completion, Health, Message, ModelInfo, Prompt, RequestParams, Stats

if TYPE_CHECKING:
    from types import TracebackType

    import numpy
    from typing_extensions import Self, Unpack

Progress = Callable[[int, int], object]
"""Called while a model loads, with the bytes read and the bytes in all."""

_has_opened = False  # an engine, in this process
_is_forked = False  # from a process that had opened one


def _after_fork() -> None:
    global _is_forked
    _is_forked = _is_forked or _has_opened


os.register_at_fork(after_in_child=_after_fork)


class HttpServer:
    """An HTTP server on an open engine, on threads of its own. Ends with `stop()`, a `with` block or its engine."""

    def __init__(self, native: _native.Server) -> None:
        self._native = native

    @property
    def url(self) -> str:
        return self._native.url

    @property
    def port(self) -> int:
        return self._native.port

    def stop(self) -> None:
        """Closes the connections, which cancels what they run."""
        self._native.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class Engine:
    """One model, loaded, answering requests in batches.

    `model` is a folder of safetensors, a .gguf file or a name in MLX_SERVING_HOME; without it the default model. Options
    are the settings of docs/CONFIGURATION.md (max_sequences=32, context_length=4096, ...). All methods may be called from
    any thread; those whose names begin with `a` belong to an asyncio event loop. No signal handler is installed.
    """

    def __init__(
        self, model: str | os.PathLike[str] | None = None, *, progress: Progress | None = None, **options: Any
    ) -> None:
        self._model = model
        self._options = options
        self._loop_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopHub] = weakref.WeakKeyDictionary()
        self._servers: list[HttpServer] = []
        self._native = self._open(progress)

    def _open(self, progress: Progress | None) -> _native.Engine:
        global _has_opened
        if _is_forked:
            raise EngineError(
                "this process was forked from one that had an engine open, so MLX cannot be used in it; open the engine "
                "after the fork, or start processes by multiprocessing's spawn"
            )
        options = {"model": None if self._model is None else os.fspath(self._model), **self._options}
        _has_opened = True
        return _native.Engine.open(to_json(options), progress)

    @classmethod
    async def open(
        cls, model: str | os.PathLike[str] | None = None, *, progress: Progress | None = None, **options: Any
    ) -> Self:
        """Opens an engine without holding up the event loop."""
        return await asyncio.to_thread(lambda: cls(model, progress=progress, **options))

    # -- life

    def load(self, model: str | os.PathLike[str] | None = None, *, progress: Progress | None = None) -> None:
        """Loads `model`, or after unload() the same one again; what ran on another one is cancelled."""
        if model is not None:
            self._model = model
        self.close()
        self._native = self._open(progress)

    def unload(self) -> None:
        """Gives the model's memory back. Requests raise ShuttingDownError until load()."""
        self.close()

    def close(self) -> None:
        """Stops its servers, cancels what runs and ends its threads. A second call does nothing."""
        for server in self._servers:
            server.stop()
        self._servers.clear()
        self._native.close()
        # Streams that are still read keep their hub, which tells them how they ended.
        self._loop_hubs = weakref.WeakKeyDictionary()

    async def aclose(self) -> None:
        await asyncio.to_thread(self.close)

    @property
    def is_closed(self) -> bool:
        return self._native.is_closed

    def drain(self, timeout_s: float) -> int:
        """Refuses new requests, waits for the others; returns how many were cut off when the time was over."""
        return self._native.drain(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    # -- answers

    @overload
    def generate(self, prompt: Prompt, **params: Unpack[RequestParams]) -> Completion: ...  # type: ignore[overload-overlap]
    @overload
    def generate(
        self, prompt: Sequence[Prompt], *, n: int = ..., **params: Unpack[RequestParams]
    ) -> list[Completion]: ...

    def generate(self, prompt: Any, *, n: int = 1, **params: Any) -> Completion | list[Completion]:
        """Answers a prompt, or a list of prompts: these run together, and an error is `finish.error` of its completion.

        With `n` there are so many completions of each prompt, one after the other. As over HTTP, `max_tokens` is 16 unless
        it is given.
        """
        if is_one_prompt(prompt):
            if n != 1:
                raise InvalidRequestError("n needs a list of prompts; give [prompt]", param="n")
            return self._read_one(completion_body(prompt, params))
        return self._read_many([completion_body(one, {**params, "n": n}) for one in prompt])

    def chat(self, messages: Sequence[Message], **params: Unpack[RequestParams]) -> Completion:
        """Answers a conversation by the model's chat template."""
        return self._read_one(to_json({**params, "messages": messages}))

    def stream(self, prompt: Prompt, **params: Unpack[RequestParams]) -> Stream:
        """Answers a prompt as it goes: iterate over deltas."""
        return self._start(completion_body(prompt, params))

    def chat_stream(self, messages: Sequence[Message], **params: Unpack[RequestParams]) -> Stream:
        """Answers a conversation as it goes."""
        return self._start(to_json({**params, "messages": messages}))

    @overload
    async def agenerate(self, prompt: Prompt, **params: Unpack[RequestParams]) -> Completion: ...  # type: ignore[overload-overlap]
    @overload
    async def agenerate(
        self, prompt: Sequence[Prompt], *, n: int = ..., **params: Unpack[RequestParams]
    ) -> list[Completion]: ...

    async def agenerate(self, prompt: Any, *, n: int = 1, **params: Any) -> Completion | list[Completion]:
        """generate() for asyncio; a task that is cancelled cancels its requests."""
        if is_one_prompt(prompt):
            if n != 1:
                raise InvalidRequestError("n needs a list of prompts; give [prompt]", param="n")
            return await self._astart(completion_body(prompt, params))[0].read()
        streams: list[AsyncStream] = []
        for one in prompt:
            streams += self._astart(completion_body(one, {**params, "n": n}))
        await asyncio.gather(*(stream.read() for stream in streams), return_exceptions=True)
        return [stream.completion for stream in streams]

    async def achat(self, messages: Sequence[Message], **params: Unpack[RequestParams]) -> Completion:
        """chat() for asyncio."""
        return await self._astart(to_json({**params, "messages": messages}))[0].read()

    def astream(self, prompt: Prompt, **params: Unpack[RequestParams]) -> AsyncStream:
        """stream() for asyncio: iterate with `async for`. Call it in a running event loop."""
        return self._astart(completion_body(prompt, params))[0]

    def achat_stream(self, messages: Sequence[Message], **params: Unpack[RequestParams]) -> AsyncStream:
        """chat_stream() for asyncio."""
        return self._astart(to_json({**params, "messages": messages}))[0]

    def embed(self, texts: str | Sequence[str]) -> numpy.ndarray[Any, Any]:
        """Vectors of texts. Raises UnsupportedError: this engine has no embeddings."""
        self._native.stats_json()  # a closed engine says that first
        raise UnsupportedError("embeddings are not supported by this engine", param="input")

    # -- text

    def tokenize(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> list[int]:
        return self._native.tokenize(text, add_special_tokens, parse_special_tokens)

    def detokenize(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        return self._native.detokenize([int(token_id) for token_id in token_ids], skip_special_tokens)

    def apply_template(self, messages: Sequence[Message], **params: Unpack[RequestParams]) -> str:
        """The text that the model's chat template makes of a conversation."""
        return self._native.apply_template(to_json({**params, "messages": messages}))

    def prompt_token_ids(self, messages: Sequence[Message], **params: Unpack[RequestParams]) -> list[int]:
        """The ids that chat() would run for a conversation."""
        return self._native.prompt_token_ids(to_json({**params, "messages": messages}))

    # -- facts

    @property
    def model(self) -> ModelInfo:
        return ModelInfo(**json.loads(self._native.model_json()))

    def stats(self) -> Stats:
        return Stats(**json.loads(self._native.stats_json()))

    def health(self) -> Health:
        return Health(**json.loads(self._native.health_json()))

    def serve(self, **settings: Any) -> HttpServer:
        """Answers HTTP in this process, by the same server as `mlx-serving serve`.

        Settings are those of the server (host="127.0.0.1", port=8080, api_key=...); without a port, a free one.
        """
        server = HttpServer(_native.Server.start(self._native, to_json(settings)))
        self._servers.append(server)
        return server

    # -- inside

    def _start(self, body: str) -> Stream:
        hub = _native.Hub()
        (stream_id,) = _one(self._native.submit(hub, body))
        return Stream(hub, stream_id)

    def _read_one(self, body: str) -> Completion:
        with self._start(body) as stream:
            for _ in stream:
                pass
            return stream.completion

    def _read_many(self, bodies: Sequence[str]) -> list[Completion]:
        hub = _native.Hub()
        streams: dict[int, Stream] = {}
        try:
            for body in bodies:
                for index, stream_id in enumerate(self._submit_when_free(hub, body, streams)):
                    streams[stream_id] = Stream(hub, stream_id, index)
            while hub.num_streams > 0:
                _feed(hub, streams)
        finally:
            hub.close()
        return [stream.completion for stream in streams.values()]

    def _submit_when_free(self, hub: _native.Hub, body: str, streams: Mapping[int, Stream]) -> list[int]:
        """Waits for the queue to have room, as long as some of this batch is in it."""
        while True:
            try:
                return self._native.submit(hub, body)
            except RateLimitExceededError:
                if hub.num_streams == 0:
                    raise
                _feed(hub, streams)

    def _astart(self, body: str) -> list[AsyncStream]:
        hub = self._loop_hub()
        return [
            AsyncStream(hub, stream_id, index) for index, stream_id in enumerate(self._native.submit(hub.native, body))
        ]

    def _loop_hub(self) -> LoopHub:
        loop = asyncio.get_running_loop()
        hub = self._loop_hubs.get(loop)
        if hub is None:
            hub = self._loop_hubs[loop] = LoopHub(loop)
        return hub


def _one(stream_ids: list[int]) -> list[int]:
    if len(stream_ids) != 1:
        raise InvalidRequestError("this call has one answer; generate() takes several prompts and n")
    return stream_ids


def _feed(hub: _native.Hub, streams: Mapping[int, Stream]) -> None:
    for event in hub.wait():
        streams[event[0]].feed(event)
