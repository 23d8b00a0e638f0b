"""The official openai package for Node: runs tests/clients/node against the server. `tools/setup node-clients` installs it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from conftest import CASE_TIMEOUT_S, ROOT

if TYPE_CHECKING:
    from conftest import ServerProcess

FOLDER = ROOT / "tests" / "clients" / "node"


def test_openai_for_node(server: ServerProcess) -> None:
    if not (FOLDER / "node_modules" / "openai").is_dir():
        pytest.fail("the package is missing: run `tools/setup node-clients`")
    run = subprocess.run(
        ["node", "--test", "--test-reporter=spec", "openai.test.mjs"],
        cwd=FOLDER,
        env=os.environ | {"MLX_SERVING_URL": server.url},
        capture_output=True,
        text=True,
        timeout=CASE_TIMEOUT_S,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "pass 7" in run.stdout, run.stdout
