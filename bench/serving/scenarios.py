"""What a scheduler must keep to under load, measured over HTTP. Each scenario is one coroutine: server address in, figures out."""

import asyncio
import random
import time

from statistics_of import quantile
from streams import Answer, Client, words


def finished(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.status == 200 and answer.token_times and not answer.error]


async def shared_prefix(url: str, seed: int) -> dict:
    """32 requests that share 1,024 of 1,056 prompt tokens, sent at once to a cold cache."""
    generator = random.Random(seed)
    prefix = words(generator, 1024)
    prompts = [prefix + words(generator, 32) for _ in range(32)]
    async with Client(url) as client:
        started = time.monotonic()
        answers = await asyncio.gather(*(client.complete(prompt, 16) for prompt in prompts))
    cached = sum(answer.usage["prompt_tokens_details"]["cached_tokens"] for answer in finished(answers))
    return {
        "finished": len(finished(answers)),
        "cached_tokens": cached,
        "wanted_cached_tokens": 31 * 1024,
        "prompt_tokens": sum(answer.usage["prompt_tokens"] for answer in finished(answers)),
        "seconds": round(time.monotonic() - started, 3),
    }


async def long_prompt_beside_streams(url: str, seed: int) -> dict:
    """The inter-token time of eight running streams, without and with a 4,096-token prompt that prefills."""
    generator = random.Random(seed)
    async with Client(url) as client:
        streams = [asyncio.create_task(client.complete(words(generator, 32), 1024)) for _ in range(8)]
        await asyncio.sleep(4.0)  # they run alone
        begin = time.monotonic()
        long = await client.complete(words(generator, 4096), 1)
        end = time.monotonic()
        answers = await asyncio.gather(*streams)
    gaps = [gap for answer in finished(answers) for gap in answer.gaps_ms()]
    last_start = max(answer.token_times[0] for answer in finished(answers))
    first_end = min(answer.ended for answer in finished(answers))
    alone = [gap for at, gap in gaps if last_start < at < begin or end < at < first_end]
    beside = [gap for at, gap in gaps if begin < at < min(end, first_end)]
    return {
        "itl_p95_alone_ms": round(quantile(alone, 0.95), 3),
        "itl_p95_beside_ms": round(quantile(beside, 0.95), 3),
        "ratio": round(quantile(beside, 0.95) / quantile(alone, 0.95), 3),
        "long_prompt_ttft_ms": round(long.first_token_ms, 1),
        "gaps": [len(alone), len(beside)],
    }


async def _arrivals(
    client: Client, seeds: tuple[int, int], seconds: float, per_second: float, **fields: object
) -> list[Answer]:
    """Poisson arrivals of 128-token prompts with 32 answer tokens; what is not done at the end is cancelled.

    `seeds` are of the times and of the texts: equal times with other texts meet an equally cold cache.
    """
    times, texts = (random.Random(seed) for seed in seeds)
    answers: list[Answer] = []
    tasks = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        tasks.append(asyncio.create_task(client.complete(words(texts, 128), 32, into=answers, **fields)))
        await asyncio.sleep(times.expovariate(per_second))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return answers


async def two_priorities(url: str, seed: int, capacity: float) -> dict:
    """An urgent class alone, then at the same times beside an ordinary one that asks for 1.5 times what the server can do."""
    urgent = {"per_second": 0.25 * capacity, "priority": 10}
    async with Client(url) as client:
        alone = finished(await _arrivals(client, (seed, seed), 25.0, **urgent))
        both = await asyncio.gather(
            _arrivals(client, (seed, seed + 1), 25.0, **urgent),
            _arrivals(client, (seed + 2, seed + 2), 25.0, 1.5 * capacity, priority=0),
        )
    high, low = (finished(answers) for answers in both)
    p95_alone = quantile([answer.first_token_ms for answer in alone], 0.95)
    p95_beside = quantile([answer.first_token_ms for answer in high], 0.95)
    return {
        "urgent_ttft_p95_alone_ms": round(p95_alone, 1),
        "urgent_ttft_p95_beside_ms": round(p95_beside, 1),
        "ratio": round(p95_beside / p95_alone, 3),
        "ordinary_ttft_p95_ms": round(quantile([answer.first_token_ms for answer in low], 0.95), 1),
        "finished": [len(alone), len(high), len(low)],
        "refused": len(both[1]) - len(low),
    }


async def two_keys(url: str, seed: int, capacity: float) -> dict:
    """Two keys of equal weight, one of which sends ten times more; tokens served to each while both have work waiting."""
    async with Client(url) as client:
        modest, greedy = await asyncio.gather(
            _arrivals(client, (seed, seed), 25.0, 0.7 * capacity, key="modest"),
            _arrivals(client, (seed + 1, seed + 1), 25.0, 7.0 * capacity, key="greedy"),
        )
    begin = min(answer.started for answer in modest) + 5.0
    end = begin + 19.0
    served = [
        sum(begin < at < end for answer in finished(answers) for at in answer.token_times)
        for answers in (modest, greedy)
    ]
    return {
        "tokens_modest": served[0],
        "tokens_greedy": served[1],
        "ratio": round(served[1] / max(1, served[0]), 3),
        "finished": [len(finished(modest)), len(finished(greedy))],
        "refused": [len(modest) - len(finished(modest)), len(greedy) - len(finished(greedy))],
    }


async def small_pool(url: str, large_url: str, seed: int) -> dict:
    """48 requests whose keys and values are ten times what the pool holds; texts compared with a server of enough memory."""
    generator = random.Random(seed)
    prompts = [words(generator, 200 + generator.randrange(200)) for _ in range(48)]
    async with Client(url) as client:
        answers = await asyncio.gather(*(client.complete(prompt, 64) for prompt in prompts))
        health = await client.get("/health")
    async with Client(large_url) as client:
        expected = await asyncio.gather(*(client.complete(prompt, 64) for prompt in prompts))
    pairs = list(zip(answers, expected, strict=True))
    return {
        "finished": len(finished(answers)),
        "refused_in_words": sum(answer.status in (429, 503) and bool(answer.error) for answer in answers),
        "equal_texts": sum(a.status == 200 and a.text == b.text for a, b in pairs),
        "of": len(answers),
        "health": health,
    }


async def capacity_of(url: str, seed: int) -> float:
    """Requests per second of the arrivals' shape that the server finishes when it always has enough of them."""
    generator = random.Random(seed)
    async with Client(url) as client:
        started = time.monotonic()
        answers = await asyncio.gather(*(client.complete(words(generator, 128), 32) for _ in range(32)))
    return len(finished(answers)) / (time.monotonic() - started)
