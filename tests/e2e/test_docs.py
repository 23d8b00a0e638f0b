"""The examples of the documents work as they are printed.

A block that follows `<!-- test: KIND -->` is run: `python` and `sh` against a server, whose address takes the place of the
documents' own, `cli` with the program on the PATH.
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

DOCUMENTS = ("README.md", "GETTING_STARTED.md", "docs/MONITORING.md")
DOCUMENTED_URL = "http://127.0.0.1:8080"
BLOCK = re.compile(r"<!-- test: (\w+) -->\n```\w+\n(.*?)```\n", re.DOTALL)


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


def test_paths_that_the_documents_name_exist():
    for document in (*DOCUMENTS, "docs/PARITY.md"):
        text = (cli_support.ROOT / document).read_text()
        for row in text.splitlines():
            if "not yet" in row:
                continue
            for path in re.findall(r"`((?:src|docs|tests|include|requirements)/[\w./*-]*)`", row):
                assert list(cli_support.ROOT.glob(path.rstrip("/"))), f"{document} names {path}"
