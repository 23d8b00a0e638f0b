"""stream.py STREAMS TOKENS [MODEL]: what door_bench does, by the Python package's asyncio streams."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from mlx_serving import Engine


async def read(engine: Engine, number: int, num_tokens: int) -> int:
    stream = engine.astream(f"stream {number}", temperature=0, ignore_eos=True, max_tokens=num_tokens)
    return sum([len(delta.token_ids) async for delta in stream])


async def main(num_streams: int, num_tokens: int, model: str | None) -> None:
    async with await Engine.open(model, max_sequences=num_streams) as engine:
        await asyncio.gather(*(read(engine, number, 4) for number in range(num_streams)))
        start = time.perf_counter()
        counts = await asyncio.gather(*(read(engine, number, num_tokens) for number in range(num_streams)))
        print(json.dumps({"tokens": sum(counts), "seconds": time.perf_counter() - start}))


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None))
