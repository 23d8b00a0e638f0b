"""The package as such: every exported name, the error table, type stubs, helpers of other packages' names, the program."""

from __future__ import annotations

import dataclasses
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import mlx_serving
import pytest
from conftest import ROOT, run_python
from mlx_serving import _mlx, _native, mlx_lm, vllm

TESTS = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))


def test_every_exported_name_is_there_and_exercised():
    for name in mlx_serving.__all__:
        assert hasattr(mlx_serving, name)
    exercised = TESTS + (ROOT / "bindings/python/mlx_serving/errors.py").read_text()
    plain_data = {"CacheReport", "Delta", "Finish", "FinishReason", "Health", "Message", "ModelInfo", "Prompt"}
    plain_data |= {
        "RequestParams",
        "Stats",
        "Timings",
        "Usage",
        "__version__",
        "Completion",
        "AsyncStream",
        "Stream",
        "HttpServer",
    }
    for name in set(mlx_serving.__all__) - plain_data:
        assert re.search(rf"\b{name}\b", exercised), name
    for method in (name for name in vars(mlx_serving.Engine) if not name.startswith("_")):
        assert re.search(rf"\.{method}\b", TESTS), f"Engine.{method} is not called in any test"


def test_what_comes_out_is_the_plain_data_it_says(engine: mlx_serving.Engine):
    completion = engine.generate("a", max_tokens=2, temperature=0)
    assert isinstance(completion, mlx_serving.Completion)
    assert isinstance(completion.finish, mlx_serving.Finish)
    assert isinstance(completion.finish.cache, mlx_serving.CacheReport)
    assert isinstance(completion.usage, mlx_serving.Usage)
    assert isinstance(completion.timings, mlx_serving.Timings)
    assert isinstance(engine.stats(), mlx_serving.Stats)
    assert isinstance(engine.health(), mlx_serving.Health)
    assert isinstance(engine.model, mlx_serving.ModelInfo)
    stream = engine.stream("a", max_tokens=2)
    assert isinstance(stream, mlx_serving.Stream)
    assert all(isinstance(delta, mlx_serving.Delta) for delta in stream)
    with engine.serve() as server:
        assert isinstance(server, mlx_serving.HttpServer)
    with pytest.raises(dataclasses.FrozenInstanceError):
        completion.text = "b"  # type: ignore[misc]
    assert mlx_serving.__version__ == "0.1.0"


def test_one_class_for_each_code():
    assert sorted(mlx_serving.ERROR_CLASSES) == sorted(_native.error_names())
    for code, error_class in mlx_serving.ERROR_CLASSES.items():
        error = mlx_serving.errors.error_of(code, "what", "field", 3)
        assert type(error) is error_class
        assert isinstance(error, mlx_serving.MlxServingError)
        assert (error.code, error.message, error.param, error.retry_after) == (code, "what", "field", 3)
        assert str(error) == "what"


def test_the_pinned_mlx_is_the_builds():
    text = (ROOT / "cmake" / "dependencies.cmake").read_text()
    assert f"MLXS_MLX_WANTED {_mlx.MLX_VERSION})" in text
    assert _mlx.MLX_VERSION in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(("version", "words"), [("0.1.0", "MLX 0.1.0 is installed"), (None, "none is installed")])
def test_another_mlx_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, version: str | None, words: str):
    def found(_: str) -> str:
        if version is None:
            raise _mlx.importlib.metadata.PackageNotFoundError
        return version

    monkeypatch.setattr(_mlx.importlib.metadata, "version", found)
    with pytest.raises(ImportError, match=words):
        _mlx.prepare()


def test_stubs_and_hints_hold():
    package = Path(mlx_serving.__file__).parent
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "-p", "mlx_serving"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert (package / "py.typed").is_file()
    for name in ("Hub", "Engine", "Server"):
        stub = (package / "_native.pyi").read_text()
        for member in (member for member in vars(getattr(_native, name)) if not member.startswith("_")):
            assert f"def {member}(" in stub, member


def test_mlx_lm_names(capsys: pytest.CaptureFixture[str]):
    model, tokenizer = mlx_lm.load()
    assert tokenizer.decode(tokenizer.encode("hi")) == "hi"
    chat = [{"role": "user", "content": "hi"}]
    prompt = tokenizer.apply_chat_template(chat)
    assert mlx_lm.generate(model, tokenizer, prompt, max_tokens=10, verbose=True) == "zuqcsczuyg"
    assert capsys.readouterr().out == "zuqcsczuyg\n"
    assert tokenizer.apply_chat_template(chat, tokenize=False) == model.apply_template(chat)
    sampler = mlx_lm.make_sampler(temp=0.7, top_p=0.9)
    assert isinstance(sampler, mlx_lm.Sampler)
    pieces = list(mlx_lm.stream_generate(model, tokenizer, "hi", max_tokens=5, sampler=sampler))
    assert isinstance(pieces[-1], mlx_lm.GenerationResponse)
    assert (pieces[-1].finish_reason, pieces[-1].generation_tokens, pieces[-1].prompt_tokens) == ("length", 5, 2)
    assert isinstance(tokenizer, mlx_lm.Tokenizer)
    with pytest.raises(mlx_serving.UnsupportedError):
        mlx_lm.make_sampler(xtc_probability=0.5)
    with pytest.raises(mlx_serving.UnsupportedError):
        mlx_lm.generate(model, tokenizer, "a", draft_model=model)
    model.close()


def test_vllm_names():
    llm = vllm.LLM()
    params = vllm.SamplingParams(temperature=0, max_tokens=12, n=2)
    first, second = llm.generate(["hello", "hi"], params)
    assert isinstance(first, vllm.RequestOutput) and isinstance(first.outputs[1], vllm.CompletionOutput)
    assert [output.text for output in first.outputs] == ["iybxqjcuvttf"] * 2
    assert (first.prompt, first.prompt_token_ids[:2], second.outputs[0].finish_reason) == (
        "hello",
        [104, 101],
        "length",
    )
    chat = [{"role": "user", "content": "hi"}]
    params = vllm.SamplingParams(temperature=0, max_tokens=10)
    assert llm.chat(chat, params)[0].outputs[0].text == "zuqcsczuyg"
    assert len(llm.chat([chat, chat], params)) == 2
    assert llm.get_tokenizer().encode("a") == [97]
    with pytest.raises(mlx_serving.ContextLengthExceededError):
        llm.generate("a", vllm.SamplingParams(max_tokens=100_000))
    llm.close()


def test_the_program_serves_and_stops():
    process = subprocess.Popen(
        [sys.executable, "-m", "mlx_serving", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready http://127.0.0.1:")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    done = subprocess.run(
        [sys.executable, "-m", "mlx_serving", "nonsense"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "nonsense" in done.stderr
    script = Path(sys.executable).parent / "mlx-serving"
    done = subprocess.run(
        [script, "generate", "--raw", "--prompt", "a", "--json"], capture_output=True, text=True, check=False
    )
    assert json.loads(done.stdout)["text"]


def test_the_default_model_answers():
    done = run_python(
        "from mlx_serving import Engine\n"
        "with Engine() as engine:\n"
        "    answer = engine.chat([{'role': 'user', 'content': 'What is the capital of France?'}], max_tokens=20,\n"
        "                         temperature=0)\n"
        "    print(answer.text)\n",
        fake=False,
    )
    assert "Paris" in done.stdout, done.stderr
