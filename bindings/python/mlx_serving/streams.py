"""Answers as they come: `Stream` for `for`, `AsyncStream` for `async for`. Leaving either early cancels the request."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import weakref
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, TypeVar

from . import _native
from ._border import RawEvent, to_finish
from .types import Completion, Delta, Finish

if TYPE_CHECKING:
    from types import TracebackType

_S = TypeVar("_S", bound="_Reader")


class _Reader:
    """What both kinds of stream know: the events that arrived and were not read, and all that was."""

    def __init__(self, hub: _native.Hub, stream_id: int, index: int = 0) -> None:
        self._hub = hub
        self._id = stream_id
        self._arrived: deque[Delta] = deque()
        self._texts: list[str] = []
        self._token_ids: list[int] = []
        self._finish: Finish | None = None
        self.index = index
        self.prompt_tokens: int | None = None  # once the engine has taken the request

    def feed(self, event: RawEvent) -> None:
        _, prompt_tokens, text, token_ids, finish_json = event
        if prompt_tokens is not None:
            self.prompt_tokens = prompt_tokens
            return
        self._texts.append(text)
        self._token_ids += token_ids
        if finish_json is not None:
            self._finish = to_finish(finish_json)
        self._arrived.append(Delta(text, token_ids, self._finish))

    def _take(self) -> Delta | None:
        """The next delta; None: there is none yet. Raises the error that ended the request."""
        if not self._arrived:
            return None
        delta = self._arrived.popleft()
        if delta.finish is not None and delta.finish.error is not None:
            raise delta.finish.error
        return delta

    @property
    def is_finished(self) -> bool:
        return self._finish is not None

    @property
    def completion(self) -> Completion:
        """All that has come, once the stream has finished."""
        if self._finish is None:
            raise RuntimeError("the stream has not finished; read it to its end first")
        return Completion("".join(self._texts), self._token_ids, self._finish, self.index)

    def cancel(self) -> None:
        """Ends the request within a step; the stream then ends with the finish reason "cancelled"."""
        if self._finish is None:
            self._hub.cancel(self._id)

    def _leave(self) -> None:
        if self._finish is None:
            self._hub.discard(self._id)
            self._finish = Finish("cancelled")


class Stream(_Reader, Iterator[Delta]):
    """An iterator over deltas. Waiting for one releases the GIL and heeds Ctrl-C. For one thread at a time."""

    def __next__(self) -> Delta:
        while (delta := self._take()) is None:
            if self._finish is not None:
                raise StopIteration
            for event in self._hub.wait():
                self.feed(event)
        return delta

    def close(self) -> None:
        """Ends the request if it still runs; nothing more of it is read."""
        self._leave()

    def __enter__(self: _S) -> _S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()


class AsyncStream(_Reader, AsyncIterator[Delta]):
    """An asynchronous iterator over deltas, for the event loop in which it was made."""

    def __init__(self, hub: LoopHub, stream_id: int, index: int = 0) -> None:
        super().__init__(hub.native, stream_id, index)
        self._loop_hub = hub  # lives as long as its streams
        self._waiter: asyncio.Future[None] | None = None
        hub.readers[stream_id] = self

    def feed(self, event: RawEvent) -> None:
        super().feed(event)
        if self._waiter is not None and not self._waiter.done() and self._arrived:
            self._waiter.set_result(None)

    async def __anext__(self) -> Delta:
        try:
            while (delta := self._take()) is None:
                if self._finish is not None:
                    raise StopAsyncIteration
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
        except asyncio.CancelledError:
            self._leave()
            raise
        return delta

    def _leave(self) -> None:
        self._loop_hub.readers.pop(self._id, None)
        super()._leave()

    async def aclose(self) -> None:
        """Ends the request if it still runs; nothing more of it is read."""
        self._leave()

    async def read(self) -> Completion:
        """Waits for the whole answer. Raises the error that ended it."""
        async for _ in self:
            pass
        return self.completion

    async def __aenter__(self: _S) -> _S:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # at the interpreter's end anything may be gone
            self._leave()


class LoopHub:
    """The streams of one event loop: the engine wakes it by a byte in a socket, at most once until it has looked."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        receiver, sender = socket.socketpair()
        receiver.setblocking(False)
        sender.setblocking(False)
        self.native = _native.Hub(sender.fileno())
        # Weak, so that a stream that nobody reads any more ends.
        self.readers: weakref.WeakValueDictionary[int, AsyncStream] = weakref.WeakValueDictionary()
        # The loop holds neither this object nor its streams.
        look = weakref.WeakMethod(self._look)
        loop.add_reader(receiver.fileno(), lambda: (method := look()) and method())
        self._receiver = receiver
        self._end = weakref.finalize(self, _end_hub, self.native, weakref.ref(loop), receiver, sender)

    def _look(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._receiver.recv(4096)
        for event in self.native.take():
            reader = self.readers.get(event[0])
            if reader is None:
                continue
            reader.feed(event)
            if reader.is_finished:
                self.readers.pop(event[0], None)


def _end_hub(
    native: _native.Hub, loop: weakref.ref[asyncio.AbstractEventLoop], receiver: socket.socket, sender: socket.socket
) -> None:
    native.close()  # first, as it writes to the socket
    open_loop = loop()
    if open_loop is not None and not open_loop.is_closed():
        open_loop.remove_reader(receiver.fileno())
    receiver.close()
    sender.close()
