"""Finds the MLX that this package was built for, and says in words what is wrong where there is none."""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import sys
from pathlib import Path

MLX_VERSION = "0.32.4"  # its C++ interface is not stable, so exactly this one
_LIBRARY = "libmlx.dylib" if sys.platform == "darwin" else "libmlx.so"
_INSTALL = f"pip install 'mlx[cpu]=={MLX_VERSION}'"


def prepare() -> None:
    """Raises ImportError unless the pinned MLX can be loaded; loads it where it is not beside this package."""
    try:
        version = importlib.metadata.version("mlx")
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(f"mlx_serving needs MLX {MLX_VERSION}, and none is installed: {_INSTALL}") from None
    if version != MLX_VERSION:
        raise ImportError(f"mlx_serving was built for MLX {MLX_VERSION}, but MLX {version} is installed: {_INSTALL}")
    library = _find_library()
    if library is None:
        raise ImportError(f"MLX {version} is installed without its library {_LIBRARY}: {_INSTALL}")
    beside = Path(__file__).resolve().parent.parent / "mlx"
    if library.parent.parent != beside:
        ctypes.CDLL(str(library))


def _find_library() -> Path | None:
    spec = importlib.util.find_spec("mlx")
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        library = Path(folder).resolve() / "lib" / _LIBRARY
        if library.is_file():
            return library
    return None
