#!/usr/bin/env python3
"""Who includes whom in the C++ tree, and what each room may include. Used by check_style.py and, as a filter, by lint.

As a program it reads file names from standard input and prints those that pass:
  include_graph.py --without-mlx                    files that reach no header of MLX
  include_graph.py --in-build compile_commands.json files that the build compiles
"""

import json
import os
import pathlib
import re
import sys

# A room may include itself, every room of a lower level, and the rooms named in EXTRA_ARROWS.
LEVELS = {
    "base": 0,
    "text": 1,
    "cache": 1,
    "telemetry": 1,
    "kernels": 1,
    "model": 2,
    "sampling": 3,
    "cluster": 3,
    "engine": 4,
    "server": 5,
    "cli": 5,
    "bindings": 6,
}
EXTRA_ARROWS = {("cli", "server")}  # `serve` is a command

# Where MLX may be included. model/checkpoint, model/families and the ModelSpec stay free of it, as does the engine's core.
MLX_ALLOWED = re.compile(
    r"^(src/kernels/|src/sampling/|src/cluster/|bench/|src/cli/"
    r"|src/model/(?!checkpoint/|families/|model_spec)"
    r"|src/engine/(mlx/|\w*mlx\w*\.|mlx_\w+\.|submission_ring|runner_(cpu|cuda|metal)))"
)
# MLX's own private headers.
MLX_BACKEND_ALLOWED = re.compile(r"^src/(kernels/|engine/\w+_(cuda|metal)\.)")
# Headers of libraries that one room hides from the others: pattern of the include -> rooms.
LIBRARY_ROOMS = (
    (re.compile(r"^boost/(asio|beast)[/.]"), ("src/server/", "src/cluster/")),
    (re.compile(r"^boost/json/(basic_parser|parse|parser|stream_parser)"), ("src/base/",)),
    (re.compile(r"^CLI/"), ("src/cli/",)),
)
# Headers that only their own room (or, for testing/, any test) may include.
PRIVATE_HEADER = re.compile(r"(^|/)(detail|internal)/|_(internal|impl)\.h$")
TESTING_HEADER = re.compile(r"(^|/)testing/")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)


def is_test(path: str) -> bool:
    return bool(re.search(r"_(test|bench)\.cpp$|(^|/)testing/|^tests/|^bench/", path))


def room_of(path: str) -> str | None:
    """`src/engine/x.h` -> `engine`; None outside of src/."""
    parts = path.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


class IncludeGraph:
    """Includes of the repository's own files. Paths are relative to the root, with slashes."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        self._includes: dict[str, list[tuple[int, str, str]]] = {}
        self._rust_headers = {
            path.name: path.relative_to(root).as_posix() for path in sorted(root.glob("rust/*/include/**/*.h"))
        }

    def includes(self, path: str) -> list[tuple[int, str, str]]:
        """(line, bracket, name) of each include of a file."""
        if path not in self._includes:
            try:
                text = (self.root / path).read_text(encoding="utf-8", errors="replace")
            except OSError:
                text = ""
            self._includes[path] = [
                (text.count("\n", 0, match.start()) + 1, match[1], match[2]) for match in INCLUDE.finditer(text)
            ]
        return self._includes[path]

    def resolve(self, includer: str, name: str) -> str | None:
        """The repository's file behind an include, or None for one of somebody else."""
        beside = os.path.normpath(f"{os.path.dirname(includer)}/{name}")
        for candidate in (f"src/{name}", f"include/{name}", name, beside):
            if (self.root / candidate).is_file():
                return candidate
        return self._rust_headers.get(name.rsplit("/", 1)[-1])

    def path_to_mlx(self, path: str) -> list[str]:
        """The shortest chain of includes from a file to a header of MLX; empty when it reaches none."""
        queue, seen = [[path]], {path}
        for chain in queue:
            for _, _, name in self.includes(chain[-1]):
                if name.startswith("mlx/"):
                    return [*chain, name]
                target = self.resolve(chain[-1], name)
                if target and target not in seen:
                    seen.add(target)
                    queue.append([*chain, target])
        return []


def arrow_allowed(source_room: str, target_room: str) -> bool:
    if source_room == target_room or (source_room, target_room) in EXTRA_ARROWS:
        return True
    return LEVELS.get(target_room, 99) < LEVELS.get(source_room, -1)


def main() -> int:
    files = [line.strip() for line in sys.stdin if line.strip()]
    root = pathlib.Path(__file__).resolve().parent.parent
    if sys.argv[1:] == ["--without-mlx"]:
        graph = IncludeGraph(root)
        kept = [path for path in files if not graph.path_to_mlx(path)]
    elif len(sys.argv) == 3 and sys.argv[1] == "--in-build":
        try:
            commands = json.loads(pathlib.Path(sys.argv[2]).read_text())
        except (OSError, ValueError) as error:
            print(f"include_graph: {error}\n  mend: make build", file=sys.stderr)
            return 1
        built = {os.path.realpath(os.path.join(entry["directory"], entry["file"])) for entry in commands}
        kept = [path for path in files if os.path.realpath(root / path) in built]
    else:
        print(__doc__, file=sys.stderr)
        return 2
    print("".join(f"{path}\n" for path in kept), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
