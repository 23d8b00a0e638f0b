"""The command line: `python -m mlx_serving serve`, the same program as mlx-serving, in this process."""

from __future__ import annotations

import sys

from . import _native


def main() -> None:
    """Runs the command that the arguments name, and exits with its code."""
    sys.stdout.flush()
    sys.exit(_native.run_program(sys.argv[1:]))


if __name__ == "__main__":
    main()
