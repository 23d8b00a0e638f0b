"""The examples of the documents work as they are printed.

A block that follows `<!-- test: KIND -->` is run: `python` and `sh` against a server, whose address takes the place of the
documents' own, `cli` with the program on the PATH, `watch` with both, `make` as far as `make -n` goes, `serve` until each server
is ready. Every block of commands has such a mark, or one that says where it runs: `<!-- runs: macos -->`,
`cuda`, `bench` or `packages` (tests/python, bindings/node and tools/check_packages).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cli_support
import pytest

if TYPE_CHECKING:
    from conftest import ServerProcess

DOCUMENTS = (
    "README.md",
    "GETTING_STARTED.md",
    *sorted(path.relative_to(cli_support.ROOT).as_posix() for path in cli_support.ROOT.glob("docs/*.md")),
)
DOCUMENTED_URL = "http://127.0.0.1:8080"
BLOCK = re.compile(r"<!-- test: (\w+) -->\n```\w+\n(.*?)```\n", re.DOTALL)
COMMANDS = re.compile(r"(.*)\n```(?:sh|bash|console|python)\n")
MARK = re.compile(r"<!-- (?:test: (?:python|sh|cli|watch|make|serve)|runs: (?:macos|cuda|bench|packages)) -->")


def examples(*kinds: str) -> list:
    found = []
    for document in DOCUMENTS:
        text = (cli_support.ROOT / document).read_text()
        blocks = BLOCK.findall(text)
        assert len(blocks) == text.count("<!-- test:"), f"{document} has a mark without a block"
        for number, (kind, code) in enumerate(blocks):
            if kind in kinds:
                found.append(pytest.param(kind, code, id=f"{document}-{number}-{kind}"))
    assert found
    return found


def run(command: list[str], path: str = "") -> str:
    variables = {"PATH": path + os.environ["PATH"]}
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=cli_support.RUN_TIMEOUT_S,
        env=cli_support.environment(**variables),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("kind", "code"), examples("python", "sh"))
def test_examples_of_the_api(server: ServerProcess, kind: str, code: str):
    assert DOCUMENTED_URL in code
    code = code.replace(DOCUMENTED_URL, server.url)
    command = [sys.executable, "-c", code] if kind == "python" else ["bash", "-euo", "pipefail", "-c", code]
    assert run(command).strip()


@pytest.mark.parametrize(("kind", "code"), examples("cli"))
def test_examples_of_the_command_line(kind: str, code: str, tmp_path: Path):
    del kind
    (tmp_path / "mlx-serving").symlink_to(Path(cli_support.BINARY).resolve())
    assert run(["bash", "-euo", "pipefail", "-c", code], path=f"{tmp_path}{os.pathsep}").strip()


@pytest.mark.parametrize(("kind", "code"), examples("watch"))
def test_examples_that_watch_a_server(server: ServerProcess, kind: str, code: str, tmp_path: Path):
    del kind
    (tmp_path / "mlx-serving").symlink_to(Path(cli_support.BINARY).resolve())
    code = code.replace(DOCUMENTED_URL, server.url)
    assert run(["bash", "-euo", "pipefail", "-c", code], path=f"{tmp_path}{os.pathsep}").strip()


@pytest.mark.parametrize(("kind", "code"), examples("make"))
def test_targets_of_make_exist(kind: str, code: str):
    del kind
    for line in filter(None, (line.split("#")[0].strip() for line in code.splitlines())):
        assert line.startswith("make ")
        assert run(["bash", "-euo", "pipefail", "-c", f"cd {cli_support.ROOT} && make -n {line.removeprefix('make ')}"])


@pytest.mark.parametrize(("kind", "code"), examples("serve"))
def test_servers_of_the_documents_start(kind: str, code: str):
    del kind
    for line in filter(None, (line.split("#")[0].strip() for line in code.splitlines())):
        settings, _, command = line.rpartition("mlx-serving serve")
        variables = dict(word.split("=", 1) for word in settings.split() if "=" in word)
        # The harness picks a free port itself.
        with cli_support.Server(*command.replace("--port 0", "").split(), **variables) as running:
            assert running.url


def test_every_command_is_run_or_says_where_it_runs():
    for document in DOCUMENTS:
        for mark in COMMANDS.findall((cli_support.ROOT / document).read_text()):
            assert MARK.fullmatch(mark), f"{document}: a block of commands after {mark!r} has no mark"


def test_tables_of_performance_are_the_results():
    done = subprocess.run(
        [sys.executable, str(cli_support.ROOT / "tools" / "bench_table.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_paths_that_the_documents_name_exist():
    for document in (*DOCUMENTS, "docs/PARITY.md"):
        text = (cli_support.ROOT / document).read_text()
        for row in text.splitlines():
            if "not yet" in row:
                continue
            for path in re.findall(r"`((?:src|docs|tests|include|requirements)/[\w./*-]*)`", row):
                assert list(cli_support.ROOT.glob(path.rstrip("/"))), f"{document} names {path}"
