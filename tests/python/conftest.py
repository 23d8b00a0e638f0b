"""The Python package on the engine's fake: run by tools/run_tests with libmlx_serving's fake first on the library path.

The fake (src/bindings/common/testing/fake_backend.cpp) picks by the model's name what it does: "slow" takes 2 ms a step,
"null" answers at once, "missing", "huge" and "broken" fail to load. Tests marked `model` use MLX in a process of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlx_serving
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def fake_backend() -> None:
    from mlx_serving import _native

    if _native.version_facts()["mlx_running_on"] != "0.0.0":
        pytest.exit("these tests need the fake engine: run them by tools/run_tests build/release --suites python", 1)


@pytest.fixture(scope="session")
def engine() -> Iterator[mlx_serving.Engine]:
    with mlx_serving.Engine(max_queue=512) as opened:
        yield opened


@pytest.fixture
def slow() -> Iterator[mlx_serving.Engine]:
    with mlx_serving.Engine("slow", max_queue=512) as opened:
        yield opened


def run_python(code: str, *arguments: str, fake: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs code in another interpreter, on MLX unless `fake`."""
    environment = dict(os.environ)
    if not fake:
        environment.pop("LD_LIBRARY_PATH", None)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        check=False,
    )
