"""Engine: answers, streams, errors, life, in threads and in event loops."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import threading
import time
import urllib.request

import mlx_serving
import numpy
import pytest
from conftest import ROOT, run_python
from mlx_serving import Engine

CHAT = [{"role": "user", "content": "hi"}]
CONVERSATIONS = json.loads((ROOT / "tests" / "golden" / "conversations.json").read_text())


def becomes_idle(engine: Engine) -> bool:
    for _ in range(2000):
        stats = engine.stats()
        if stats.num_running == 0 and stats.num_waiting == 0:
            return True
        time.sleep(0.005)
    return False


def replay(engine: Engine, request: dict) -> dict:
    params = {key: value for key, value in request.items() if key not in ("prompt", "messages")}
    try:
        if "messages" in request and params.get("n", 1) == 1:
            params.pop("n", None)
            answers = [engine.chat(request["messages"], **params)]
        elif "messages" in request or "prompt" not in request or not request["prompt"]:
            return {"choices": None}  # the door's own business, replayed in C++
        elif isinstance(request["prompt"], (str, int)) or isinstance(request["prompt"][0], int):
            if isinstance(request["prompt"], int):
                return {"choices": None}
            answers = [engine.generate(request["prompt"], **params)]
        else:
            answers = engine.generate(request["prompt"], **params)
    except mlx_serving.MlxServingError as error:
        return {"error": {"code": error.code, "message": error.message, "param": error.param}}
    return {
        "choices": [
            {
                "text": answer.text,
                "token_ids": answer.token_ids,
                "finish_reason": answer.finish_reason,
                "prompt_tokens": answer.usage.prompt_tokens,
                "completion_tokens": answer.usage.completion_tokens,
            }
            for answer in answers
        ]
    }


def test_conversations_are_answered_as_written(engine: Engine):
    num_replayed = 0
    for conversation in CONVERSATIONS:
        answer = replay(engine, conversation["request"])
        if answer.get("choices", True) is None:
            continue
        assert answer == conversation["expected"], conversation["request"]
        num_replayed += 1
    assert num_replayed >= 28


def test_generate_takes_one_prompt_or_many(engine: Engine):
    one = engine.generate("hello", max_tokens=12, temperature=0)
    assert one.text == "iybxqjcuvttf"
    assert one.timings.decode_ms >= 0
    many = engine.generate(["hello", [104, 105], numpy.array([104, 105])], max_tokens=12, temperature=0, n=2)
    assert [answer.index for answer in many] == [0, 1] * 3
    assert many[0].text == many[1].text == one.text
    assert many[2].token_ids == many[4].token_ids


def test_a_batch_larger_than_the_queue_waits_for_room():
    with Engine(max_queue=4, max_sequences=2) as engine:
        answers = engine.generate([f"prompt {number}" for number in range(40)], max_tokens=5, temperature=0)
        assert [len(answer.token_ids) for answer in answers] == [5] * 40


def test_an_error_in_a_batch_is_in_its_completion(engine: Engine):
    good, bad = engine.generate(["a", "b" * 9000], max_tokens=3)
    assert good.finish_reason == "length"
    assert bad.finish_reason == "error"
    assert isinstance(bad.finish.error, mlx_serving.ContextLengthExceededError)


def test_streams_give_what_generate_gives(engine: Engine):
    with engine.stream("hello", max_tokens=12, temperature=0) as stream:
        deltas = list(stream)
    assert "".join(delta.text for delta in deltas) == "iybxqjcuvttf"
    assert deltas[-1].finish is not None
    assert stream.prompt_tokens == 5
    assert stream.completion.text == "iybxqjcuvttf"
    chat = "".join(delta.text for delta in engine.chat_stream(CHAT, max_tokens=10, temperature=0))
    assert chat == engine.chat(CHAT, max_tokens=10, temperature=0).text


def test_leaving_a_stream_cancels_it(slow: Engine):
    with slow.stream("x", max_tokens=4000) as stream:
        next(stream)
        with pytest.raises(RuntimeError, match="has not finished"):
            _ = stream.completion
    stream = slow.stream("x", max_tokens=4000)
    stream.cancel()
    *_, last = stream
    assert last.finish is not None and last.finish.reason == "cancelled"
    stream = slow.stream("x", max_tokens=4000)
    del stream
    assert becomes_idle(slow)


def test_random_cancels_leave_nothing(slow: Engine):
    rng = random.Random(3)
    for _ in range(1000):
        stream = slow.stream("cancel me", max_tokens=500)
        if rng.random() < 0.02:
            next(stream, None)
        stream.cancel() if rng.random() < 0.5 else stream.close()
    assert becomes_idle(slow)
    assert slow.stats().num_running == 0


def test_threads_share_an_engine(engine: Engine):
    texts: list[str] = []

    def ask():
        texts.append(engine.generate("hello", max_tokens=12, temperature=0).text)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["iybxqjcuvttf"] * 16


def test_asyncio():
    async def main():
        async with await Engine.open() as engine:
            one = await engine.agenerate("hello", max_tokens=12, temperature=0)
            assert one.text == "iybxqjcuvttf"
            many = await engine.agenerate(["hello"] * 8, n=2, max_tokens=12, temperature=0)
            assert [answer.text for answer in many] == [one.text] * 16
            assert (await engine.achat(CHAT, max_tokens=10, temperature=0)).text == "zuqcsczuyg"
            async with engine.astream("hello", max_tokens=12, temperature=0) as stream:
                assert "".join([delta.text async for delta in stream]) == one.text
            stream = engine.achat_stream(CHAT, max_tokens=4000)
            async for _ in stream:
                break
            await stream.aclose()
            with pytest.raises(mlx_serving.InvalidValueError):
                await engine.agenerate("a", temperature=3)
            with pytest.raises(mlx_serving.ContextLengthExceededError):
                await engine.agenerate("a" * 9000)

    asyncio.run(main())


def test_a_cancelled_task_cancels_its_request(slow: Engine):
    async def main():
        tasks = [asyncio.create_task(slow.agenerate("x", max_tokens=4000)) for _ in range(20)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        stream = slow.astream("x", max_tokens=4000)
        del stream

    asyncio.run(main())
    assert becomes_idle(slow)


def test_64_async_streams(engine: Engine):
    async def read() -> int:
        return sum([len(delta.token_ids) async for delta in engine.astream("x", max_tokens=100)])

    async def main():
        return await asyncio.gather(*(read() for _ in range(64)))

    assert asyncio.run(main()) == [100] * 64


@pytest.mark.parametrize("model", ["missing", "huge", "broken"])
def test_what_cannot_be_loaded_raises(model: str):
    wanted = mlx_serving.ModelNotFoundError if model == "missing" else mlx_serving.EngineError
    with pytest.raises(wanted) as caught:
        Engine(model)
    assert str(caught.value)


@pytest.mark.parametrize(
    ("params", "error", "param"),
    [
        ({"temperature": float("nan")}, mlx_serving.InvalidValueError, "temperature"),
        ({"temperature": float("inf")}, mlx_serving.InvalidValueError, "temperature"),
        ({"logit_bias": {1: float("nan")}}, mlx_serving.InvalidValueError, "logit_bias.1"),
        ({"temperature": "hot"}, mlx_serving.InvalidRequestError, "temperature"),
        ({"max_tokens": 1.5}, mlx_serving.InvalidRequestError, "max_tokens"),
        ({"stop": object()}, mlx_serving.InvalidRequestError, None),
        ({"no_such_field": 1}, mlx_serving.InvalidRequestError, "no_such_field"),
        ({"extra": {"neither": 1}}, mlx_serving.InvalidRequestError, "neither"),
        ({"n": 2}, mlx_serving.InvalidRequestError, "n"),
        ({"best_of": 4}, mlx_serving.UnsupportedError, "best_of"),
    ],
)
def test_bad_input(engine: Engine, params: dict, error: type, param: str | None):
    with pytest.raises(error) as caught:
        engine.generate("a", **params)
    assert caught.value.param == param


def test_bad_options():
    with pytest.raises(mlx_serving.InvalidConfigError, match="max-sequences"):
        Engine(max_sequences=0)
    with pytest.raises(mlx_serving.InvalidConfigError, match="no_such_option"):
        Engine(no_such_option=1)
    with pytest.raises(TypeError):
        Engine().tokenize(7)  # type: ignore[arg-type]


def test_embeddings_say_what_they_are(engine: Engine):
    with pytest.raises(mlx_serving.UnsupportedError):
        engine.embed("a")


def test_a_closed_engine(slow: Engine):
    stream = slow.stream("x", max_tokens=4000)
    slow.close()
    slow.close()
    assert slow.is_closed
    with pytest.raises(mlx_serving.ShuttingDownError):
        slow.generate("x")
    with pytest.raises(mlx_serving.ShuttingDownError):
        slow.stats()
    with pytest.raises(mlx_serving.ShuttingDownError):
        list(stream)


def test_unload_and_load_again():
    engine = Engine()
    engine.unload()
    with pytest.raises(mlx_serving.ShuttingDownError):
        engine.tokenize("a")
    engine.load()
    assert engine.model.name == "fake"
    engine.load("slow")
    assert engine.model.name == "slow"
    assert engine.drain(1.0) == 0
    with pytest.raises(mlx_serving.ShuttingDownError):
        engine.generate("a")
    engine.close()


def test_text_and_facts(engine: Engine):
    assert engine.tokenize("ab") == [97, 98]
    assert engine.detokenize(numpy.array([97, 256, 98])) == "ab"
    assert engine.detokenize([256], skip_special_tokens=False) == "<|end|>"
    assert engine.apply_template(CHAT) == "<|role|>user:hi<|turn|><|role|>assistant:"
    assert engine.prompt_token_ids(CHAT)[0] == 257
    assert engine.model.vocab_size == 259
    assert engine.health().last_error is None
    assert engine.stats().num_requests_finished > 0


def test_two_engines_in_one_process(engine: Engine, slow: Engine):
    with engine.stream("x", max_tokens=20, temperature=0) as one, slow.stream("x", max_tokens=20, temperature=0) as two:
        assert [d.text for d in one] != [] and [d.text for d in two] != []
        assert one.completion.text == two.completion.text


def test_a_callback_that_raises_harms_nobody(capsys: pytest.CaptureFixture[str]):
    seen = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        raise RuntimeError("from the callback")

    caught = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda entry: caught.append(entry.exc_value)
    try:
        with Engine(progress=progress) as engine:
            assert engine.generate("a", max_tokens=2, temperature=0).text
    finally:
        sys.unraisablehook = hook
    assert seen == [(1, 1)]
    assert str(caught[0]) == "from the callback"


def test_ctrl_c_ends_a_wait(slow: Engine):
    stream = slow.stream("x", max_tokens=8000)
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        for _ in stream:
            pass
    stream.close()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_fork_is_refused_in_words():
    done = run_python(
        "import os, sys, mlx_serving\n"
        "engine = mlx_serving.Engine()\n"
        "stream = engine.stream('x', max_tokens=1000)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    for act in (lambda: engine.generate('x'), lambda: mlx_serving.Engine()):\n"
        "        try:\n"
        "            act()\n"
        "        except mlx_serving.EngineError as error:\n"
        "            print(error)\n"
        "    sys.exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "engine.close()\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("after the fork") == 2


def test_serving_in_process(engine: Engine):
    with engine.serve() as server:
        assert str(server.port) in server.url
        body = json.dumps({"model": "fake", "prompt": "hello", "max_tokens": 12, "temperature": 0}).encode()
        request = urllib.request.Request(server.url + "/v1/completions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            assert json.load(response)["choices"][0]["text"] == "iybxqjcuvttf"
        with pytest.raises(mlx_serving.IoError):
            engine.serve(port=server.port)
    with pytest.raises(mlx_serving.InvalidConfigError):
        engine.serve(no_such=1)


def rss_kb() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def test_500_engines_leave_nothing_behind():
    def cycle():
        with Engine(max_sequences=2, context_length=128) as engine:
            assert engine.generate("a", max_tokens=3, temperature=0).text

    for _ in range(100):
        cycle()
    num_threads, memory = threading.active_count(), rss_kb()
    tasks = len(os.listdir("/proc/self/task"))
    for _ in range(500):
        cycle()
    assert rss_kb() <= memory * 1.02
    assert len(os.listdir("/proc/self/task")) <= tasks
    assert threading.active_count() == num_threads
