"""The command line as a process: exit codes, one-line errors, JSON, signals, terminals. On the default model."""

import contextlib
import http.client
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import cli_support
import pytest
from cli_support import Server, expect_error, run, run_json


@pytest.fixture(scope="module")
def model_copy(tmp_path_factory):
    """A copy of the default model that a test may damage."""
    path = tmp_path_factory.mktemp("models") / "copy.gguf"
    shutil.copy(cli_support.default_model(), path)
    return path


# Bad usage


@pytest.mark.parametrize(
    ("args", "part"),
    [
        ([], "a command is missing"),
        (["nonsense"], 'no command is called "nonsense"'),
        (["serve", "--nonsense"], "--nonsense"),
        (["serve", "--port", "65536"], "--port"),
        (["serve", "--port", "eighty"], "--port"),
        (["serve", "--host", "not an address", "--port", "0"], "not an address"),
        (["serve", "--host", "0.0.0.0", "--port", "0"], "key"),
        (["generate"], "--prompt"),
        (["generate", "--prompt", "x", "--max-tokens", "0"], "--max-tokens"),
        (["generate", "--prompt", "x", "--temperature", "warm"], "--temperature"),
        (["info", "no-such-model"], 'model "no-such-model" was not found'),
        (["generate", "no-such-model", "--prompt", "x"], "make setup"),
        (["generate", "/no/such/model.gguf", "--prompt", "x"], "/no/such/model.gguf"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(args, part):
    assert part in expect_error(2, *args)


def test_a_bad_environment_variable_is_named():
    assert "MLX_SERVING_PORT" in expect_error(2, "serve", MLX_SERVING_PORT="eighty")


def test_help_and_version():
    for args in (["--help"], *([c, "--help"] for c in ("serve", "generate", "chat", "bench", "info"))):
        done = run(*args)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Examples:" in done.stdout
    assert re.fullmatch(r"mlx-serving \d+\.\d+\.\d+ \(commit \S+, MLX \S+\)\n", run("--version").stdout)


# Bad models


def test_truncated_models_are_refused(model_copy):
    size = cli_support.default_model().stat().st_size
    for num_bytes in (0, 3, 24, 4096, size // 2, size - 1):
        with open(model_copy, "r+b") as file:
            file.truncate(num_bytes)
        assert "copy.gguf" in expect_error(2, "generate", str(model_copy), "--prompt", "x")
        shutil.copy(cli_support.default_model(), model_copy)


def test_corrupted_models_are_refused(model_copy):
    head = bytearray(cli_support.default_model().read_bytes()[:4096])
    # Magic, version, number of tensors, number of entries.
    for offset, value in ((0, 0), (4, 99), (15, 0xFF), (23, 0xFF)):
        damaged = bytearray(head)
        damaged[offset] = value
        with open(model_copy, "r+b") as file:
            file.write(damaged)
        assert "copy.gguf" in expect_error(2, "info", str(model_copy))
        assert "copy.gguf" in expect_error(2, "generate", str(model_copy), "--prompt", "x")


def test_what_is_no_model_is_refused(tmp_path):
    assert "config.json" in expect_error(2, "info", str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    assert str(tmp_path) in expect_error(2, "info", str(tmp_path))
    (tmp_path / "weights.bin").write_bytes(b"x")
    assert "weights.bin" in expect_error(2, "info", str(tmp_path / "weights.bin"))


def test_a_home_that_can_only_be_read(tmp_path):
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    shutil.copy(cli_support.default_model(), models / "mine.gguf")
    for folder in (models, models.parent):
        folder.chmod(0o555)
    try:
        home = str(tmp_path / "home")
        assert run_json("info", "mine", MLX_SERVING_HOME=home)["family"] == "llama"
        done = run("generate", "mine", "--prompt", "Hi", "--max-tokens", "2", MLX_SERVING_HOME=home)
        assert (done.returncode, done.stderr) == (0, "")
        assert "holds mine" in expect_error(2, "info", "other", MLX_SERVING_HOME=home)
    finally:
        for folder in (models.parent, models):
            folder.chmod(0o755)


# generate, chat, info


def test_generate_json():
    args = ("generate", "--prompt", "What is the capital of France?", "--max-tokens", "8", "--temperature", "0")
    answer = run_json(*args)
    assert answer["text"]
    assert answer["prompt_tokens"] > 8
    assert 1 <= len(answer["token_ids"]) <= 8
    assert all(isinstance(token_id, int) for token_id in answer["token_ids"])
    assert answer["finish_reason"] in ("length", "stop")
    assert {"queue_ms", "prefill_ms", "decode_ms"} <= answer["timings"].keys()
    # The same text comes without --json, and from standard input.
    assert run(*args).stdout == answer["text"] + "\n"
    from_input = run("generate", "--prompt", "-", *args[3:], stdin="What is the capital of France?\n")
    assert from_input.stdout == answer["text"] + "\n"


def test_raw_skips_the_chat_template():
    raw = run_json("generate", "--raw", "--prompt", "Once upon a time", "--max-tokens", "1", "--temperature", "0")
    assert raw["prompt_tokens"] <= 6


def test_seeds_decide_the_draw():
    args = ("generate", "--prompt", "Tell me something.", "--max-tokens", "6", "--temperature", "1.5", "--seed")
    first = run_json(*args, "7")["token_ids"]
    assert run_json(*args, "7")["token_ids"] == first
    assert any(run_json(*args, str(seed))["token_ids"] != first for seed in (8, 9, 10))


def test_bytes_that_are_not_utf8():
    done = run("generate", "--prompt", "-", stdin=b"\xff\xfe")
    assert (done.returncode, done.stdout) == (2, "")
    assert "UTF-8" in done.stderr


def test_a_prompt_longer_than_the_context():
    assert "context" in expect_error(2, "generate", "--prompt", "word " * 20000)


def test_chat_over_a_pipe():
    done = run(
        "chat", "--max-tokens", "4", "--temperature", "0", stdin="Hello\n/clear\nHello\n/nonsense\n/exit\nnever\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    # The fresh conversation answers as the first one did.
    before, _, after = done.stdout.partition("The conversation is forgotten.\n")
    assert after == before + "/nonsense is no command; /help lists them\n"


def test_info():
    facts = run_json("info")
    assert facts["mlx_version"].startswith("0.")
    assert {"llama", "mistral", "qwen2", "qwen3", "gemma3_text", "phi3"} <= set(facts["model_types"])
    model = run_json("info", "default")
    assert model["family"] == "llama"
    assert model["format"] == "gguf"
    assert model["layers"] == 30
    assert 134_000_000 < model["parameters"] < 136_000_000
    assert model["has_chat_template"] is True


def test_the_answer_of_a_closed_pipe_ends():
    command = [cli_support.BINARY, "generate", "--prompt", "Count to a thousand.", "--max-tokens", "400"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=cli_support.environment()
    )
    process.stdout.read(1)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=cli_support.RUN_TIMEOUT_S) == 1
    assert err.count("\n") == 1 and "standard output" in err


def test_ctrl_c_ends_generate_with_130():
    command = [cli_support.BINARY, "generate", "--prompt", "Count to a thousand.", "--max-tokens", "2000"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=cli_support.environment()
    )
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=cli_support.RUN_TIMEOUT_S)
    assert (process.returncode, err) == (130, "")


# A terminal


class Terminal:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, *args: str, **variables: str):
        pid, self.fd = pty.fork()
        if pid == 0:
            try:
                variables |= {"TERM": "xterm"}
                os.execve(cli_support.BINARY, [cli_support.BINARY, *args], cli_support.environment(**variables))
            finally:
                os._exit(127)  # the test goes on in the parent only
        self.pid = pid
        self.seen = ""

    def read_until(self, pattern: str) -> str:
        deadline = time.monotonic() + cli_support.RUN_TIMEOUT_S
        while not (match := re.search(pattern, self.seen)):
            assert time.monotonic() < deadline, self.seen
            if select.select([self.fd], [], [], 1)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:  # the program has ended
                    break
        match = re.search(pattern, self.seen)
        assert match, self.seen
        found, self.seen = self.seen[: match.end()], self.seen[match.end() :]
        return found

    def send(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def wait(self) -> int:
        """Reads to the end and returns the exit code."""
        with contextlib.suppress(OSError):  # how a pseudo-terminal says that the other side has gone
            while os.read(self.fd, 65536):
                pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def test_chat_on_a_terminal_edits_lines_and_ctrl_c_stops_the_answer():
    terminal = Terminal("chat", "--temperature", "0", NO_COLOR="1")
    start = terminal.read_until(r"Ctrl-D ends\.[\s\S]*> ")
    assert "loading [" in start  # the progress bar
    terminal.send("/hexp\x7f\x7flp\r")  # two backspaces mend the word
    terminal.read_until(r"/retry[\s\S]*> ")
    terminal.send("a line that is dropped\x03")
    terminal.read_until(r"\^C[\s\S]*> ")
    terminal.send("Count from one to a thousand in words.\r")
    terminal.read_until(r"words\.\r\n[\s\S]*[A-Za-z]{3}")  # some of the answer
    terminal.send("\x03")
    terminal.read_until(r"> ")
    terminal.send("/stats\r")
    terminal.read_until(r"token/s[\s\S]*> ")
    terminal.send("\x04")
    assert terminal.wait() == 0


def test_no_colour_means_no_escape_codes_of_colour():
    terminal = Terminal("info", NO_COLOR="1")
    assert "\x1b[1m" not in terminal.read_until(r"weight_formats")
    assert terminal.wait() == 0
    terminal = Terminal("info")
    assert "\x1b[1m" in terminal.read_until(r"weight_formats")
    assert terminal.wait() == 0


# bench


def decode_result(report: dict) -> dict:
    return next(result for result in report["results"] if result["kind"] == "decode")


def test_bench_json():
    report = run_json("bench", "--prompt", "16", "--gen", "4", "--depth", "8", "--batch", "1,2", "--repeat", "2")
    assert [(r["test"], r["batch"]) for r in report["results"]] == [
        ("pp16", 1),
        ("tg4 @ d8", 1),
        ("pp16", 2),
        ("tg4 @ d8", 2),
    ]
    for result in report["results"]:
        speed = result["tokens_per_second"]
        assert 0 < speed["min"] <= speed["median"] <= speed["max"]
        assert len(speed["samples"]) == 2
    assert report["machine"]["cores"] >= 1
    assert report["model"]["family"] == "llama"
    assert report["commit"]


def test_bench_of_random_weights(tmp_path):
    config = cli_support.ROOT / "tests/golden/models/llama/config.json"
    report = run_json("bench", "--random", str(config), "--prompt", "16", "--gen", "4", "--repeat", "2")
    assert [(r["kind"], r["batch"]) for r in report["results"]] == [("prefill", 1), ("decode", 1)]
    assert all(result["tokens_per_second"]["min"] > 0 for result in report["results"])
    assert report["model"]["name"] == "random-llama"

    broken = tmp_path / "config.json"
    broken.write_text(config.read_text().replace('"num_attention_heads": 4', '"num_attention_heads": 0'))
    assert "num_attention_heads" in expect_error(2, "bench", "--random", str(broken))
    assert "none.json" in expect_error(2, "bench", "--random", str(tmp_path / "none.json"))


def test_bench_agrees_with_a_stopwatch():
    """Two runs that differ in the number of decoded tokens only: the difference of their wall times is the stopwatch."""

    def measure(num_tokens: int) -> tuple[float, dict]:
        start = time.monotonic()
        report = run_json("bench", "--prompt", "0", "--gen", str(num_tokens), "--repeat", "2")
        return time.monotonic() - start, decode_result(report)

    ratios = []
    for _ in range(3):  # other programs on the machine disturb either run
        short_s, _ = measure(8)
        long_s, long = measure(104)
        stopwatch = 2 * 96 / (long_s - short_s)
        ratios.append(long["tokens_per_second"]["median"] / stopwatch)
        engine_ratio = long["engine_tokens_per_second"] / long["tokens_per_second"]["median"]
        if abs(ratios[-1] - 1) <= 0.15 and abs(engine_ratio - 1) <= 0.15:
            return
    pytest.fail(f"bench / stopwatch: {ratios}")


# serve


class Stream:
    """A streamed answer that has begun: the engine is working on it."""

    def __init__(self, server: Server, max_tokens: int):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=cli_support.RUN_TIMEOUT_S)
        self.connection.request("GET", "/v1/models")
        model = json.load(self.connection.getresponse())["data"][0]["id"]
        body = {
            "model": model,
            "messages": [{"role": "user", "content": "Count from one to a thousand in words."}],
            "max_tokens": max_tokens,
            "stream": True,
        }
        headers = {"Content-Type": "application/json"}
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200
        assert self.response.readline().startswith(b"data: {")

    def rest(self) -> str:
        return self.response.read().decode()


def test_serve_answers_and_drains():
    with Server() as server:
        with urllib.request.urlopen(server.url + "/health", timeout=30) as response:
            assert response.status == 200
        stream = Stream(server, max_tokens=24)
        server.process.send_signal(signal.SIGTERM)
        # The request that ran when the signal came is finished.
        assert stream.rest().rstrip().endswith("data: [DONE]")
        stream.connection.close()
        assert server.wait() == (0, "")


def test_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert str(port) in expect_error(2, "serve", "--port", str(port))


def test_settings_come_from_the_environment():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [cli_support.BINARY, "serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=cli_support.environment(MLX_SERVING_PORT=str(port)),
    )
    try:
        assert process.stdout.readline() == f"ready http://127.0.0.1:{port}\n"
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        assert process.wait(timeout=60) == 0


def test_a_second_signal_ends_at_once():
    with Server("--drain-timeout", "600") as server:
        stream = Stream(server, max_tokens=1500)
        server.process.send_signal(signal.SIGTERM)
        assert stream.response.readline() == b"\n"  # it drains: the answer goes on
        assert stream.response.readline().startswith(b"data: {")
        server.process.send_signal(signal.SIGTERM)
        assert server.wait()[0] == 143
        stream.connection.close()
