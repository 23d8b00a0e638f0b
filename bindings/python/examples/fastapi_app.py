"""A FastAPI application that streams answers: `make_app(engine)`, served by any ASGI server."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from mlx_serving import Engine


def make_app(engine: Engine) -> FastAPI:
    app = FastAPI()

    @app.get("/ask")
    async def ask(question: str) -> StreamingResponse:
        async def answer() -> AsyncIterator[str]:
            messages = [{"role": "user", "content": question}]
            async with engine.achat_stream(messages, max_tokens=64, temperature=0) as stream:
                async for delta in stream:
                    yield delta.text

        return StreamingResponse(answer(), media_type="text/plain")

    return app
