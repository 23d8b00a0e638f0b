#!/usr/bin/env python3
"""Checks the rules of CONTRIBUTING.md that no compiler, formatter or clang-tidy checks.

Usage: tools/check_style.py [ROOT]. Looks at every file that git tracks or would track. Prints `path:line: [rule] message`;
exit status 1 when a rule is broken. Warnings do not fail.
"""

import dataclasses
import pathlib
import re
import subprocess
import sys

import include_graph

SOFT_LINES, HARD_LINES, TEST_LINES, PUBLIC_HEADER_LINES = 400, 600, 800, 200
MAX_PUBLIC_HEADERS = 8
MAX_FILE_BYTES = 2 << 20

CPP = (".h", ".cpp", ".cu", ".cuh", ".metal", ".mm")
CODE = (*CPP, ".py", ".rs", ".sh", ".ts", ".cmake")
# Written by tools, or data of tests: no rule on form applies.
GENERATED = re.compile(r"^(tests/golden/|rust/[^/]+/include/|requirements/.*\.txt$)|(^|/)Cargo\.lock$")

# The words are put together so that a search for them finds no false friend here.
MARK = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b(\(#\d+\))?")
NOLINT = re.compile(r"NO" r"LINT(NEXTLINE|BEGIN)?\b(\([\w.,\-* ]+\))?(: \S)?")
NOLINT_END = "NOLINTEND"
MACHINE_PATH = re.compile(r"(?<![\w.$}~/-])/(home|root|work|Users)/\w|(?<![\w$}:-])/t" r"mp/")
DEAD_CODE = re.compile(
    r"^\s*// {0,2}(return\b[^.]*;|(if|for|while) \(.*\) \{|\} else .*\{|#include [<\"].*|[\w:]+(->|\.|::)\w+\(.*\);"
    r"|(const |auto |int |float |std::)[\w:<>&* ]+ = .*;)\s*$"
)
BOOL_PARAMETER = re.compile(r"[(,]\s*(const\s+)?bool\s+\w+\s*(=[^,)]*)?[,)]")
DEVICE_WAIT = re.compile(r"(?<![\w:])(mx::|mlx::core::)?(async_)?eval\s*\(|\.(eval\(\)|item\s*(<[^>;]*>)?\s*\(\))")
# Loading waits too: once, before the first step.
DEVICE_WAIT_ALLOWED = re.compile(
    r"^src/(kernels/|engine/.*(runner|mlx)|model/(model|random_weights|tensor_loader|weights)\.cpp)|^bench/"
)
JSON_PARSE = re.compile(r"\bjson::(stream_)?parse(r\b|\s*\()")
# Entries of .clang-tidy that may be negative, each because it contradicts this project's own rules.
TIDY_OFF = {"-*", "-bugprone-easily-swappable-parameters", "-performance-enum-size"}


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    rule: str
    message: str
    is_warning: bool = False

    def __str__(self) -> str:
        kind = "warning: " if self.is_warning else ""
        return f"{self.path}:{self.line}: {kind}[{self.rule}] {self.message}"


def code_without_comments(text: str) -> str:
    """Blanks out comments and string literals of C++, keeping every line where it was."""
    token = re.compile(
        r'R"(?P<d>[^()\s\\]{0,16})\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])\'(?:\\.|[^\'\\\n])+\'|//[^\n]*|/\*.*?\*/',
        re.DOTALL,
    )
    return token.sub(lambda match: '""' + "\n" * match[0].count("\n"), text)


def line_findings(path: str, lines: list[str]):
    is_cpp = path.endswith(CPP)
    # The texts that tokenizers and templates are tried on live in the generator of the golden data.
    is_ascii_only = not path.startswith("tools/golden/")
    for number, line in enumerate(lines, 1):
        if is_ascii_only and not line.isascii():
            yield Finding(
                path, number, "ascii", "not ASCII; write \\u or \\x escapes in strings, plain words in comments"
            )
        for mark in MARK.finditer(line):
            if not (mark[1].startswith("TO") and mark[2]):
                yield Finding(
                    path, number, "todo", f"'{mark[1]}' needs an issue number, in the form of CONTRIBUTING.md"
                )
        if is_cpp and NOLINT_END not in line:
            for nolint in NOLINT.finditer(line):
                if not (nolint[2] and nolint[3]):
                    yield Finding(path, number, "nolint", "name the check in parentheses, then a colon and the reason")
        if is_cpp and DEAD_CODE.match(line):
            yield Finding(
                path, number, "dead-code", "commented-out code; delete it (an example is indented by three spaces)"
            )
        if line != line.rstrip():
            yield Finding(path, number, "whitespace", "space at the end of the line")


def size_findings(path: str, num_lines: int):
    is_public = path.startswith("include/")
    hard = PUBLIC_HEADER_LINES if is_public else TEST_LINES if is_test_file(path) else HARD_LINES
    if num_lines > hard:
        yield Finding(path, num_lines, "file-size", f"{num_lines} lines, at most {hard}; split it by duty")
    elif not is_public and not is_test_file(path) and num_lines > SOFT_LINES:
        yield Finding(path, num_lines, "file-size", f"{num_lines} lines; aim at {SOFT_LINES}", is_warning=True)


def is_test_file(path: str) -> bool:
    return include_graph.is_test(path) or bool(re.search(r"(^|/)(test_\w+|\w+_test)\.py$", path))


def header_findings(path: str, text: str):
    """Form of C++ files: the comment at the top, the include guard, parameters of public functions."""
    if not text.startswith("//") and not is_test_file(path):
        yield Finding(path, 1, "top-comment", "begin with 1 to 5 lines: the file's duty, and what it does not do")
    if path.endswith(".h") and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield Finding(path, 1, "pragma-once", "a header has #pragma once")
    code = code_without_comments(text)
    if path.startswith("include/"):
        message = "no bool parameter in a public function: an enum class or an option"
        yield from pattern_findings(path, code, BOOL_PARAMETER, "bool-parameter", message)
    if path.startswith("src/") and not include_graph.is_test(path):
        if not DEVICE_WAIT_ALLOWED.match(path):
            message = "waits for the device; only the engine's runner and loading do"
            yield from pattern_findings(path, code, DEVICE_WAIT, "device-wait", message)
        if not path.startswith("src/base/"):
            message = "untrusted JSON is parsed by parse_json of base/json.h, which has limits"
            yield from pattern_findings(path, code, JSON_PARSE, "json-parse", message)


def pattern_findings(path: str, code: str, pattern: re.Pattern, rule: str, message: str):
    for match in pattern.finditer(code):
        yield Finding(path, code.count("\n", 0, match.start()) + 1, rule, f"'{match[0].strip()}': {message}")


def library_findings(path: str, line: int, name: str):
    """Includes of other people's headers."""
    if name.startswith("mlx/backend/") and not include_graph.MLX_BACKEND_ALLOWED.match(path):
        yield Finding(
            path, line, "mlx-private", f"'{name}' is private to MLX; only kernels/ and *_cuda, *_metal of the engine"
        )
    for pattern, rooms in include_graph.LIBRARY_ROOMS:
        if pattern.match(name) and not path.startswith(rooms):
            yield Finding(path, line, "library-room", f"'{name}' may be included in {', '.join(rooms)} only")


def own_include_findings(path: str, line: int, name: str, target: str):
    """Includes of this repository's headers: arrows between rooms, private headers."""
    source_room, target_room = include_graph.room_of(path), include_graph.room_of(target)
    if path.startswith("include/") and not target.startswith("include/"):
        yield Finding(path, line, "layers", f"a public header includes '{name}', which is not public")
    if target.startswith("rust/") and source_room != "text":
        yield Finding(path, line, "layers", f"'{name}' is the Rust library's; only src/text sees it")
    if source_room and target_room and not include_graph.arrow_allowed(source_room, target_room):
        yield Finding(
            path, line, "layers", f"{source_room}/ includes {target_room}/ ('{name}'); arrows point down only"
        )
    if path.startswith("bindings/") and not target.startswith(("include/", "bindings/")):
        yield Finding(path, line, "layers", f"a binding includes '{name}'; bindings see include/mlx_serving only")
    if source_room != target_room and include_graph.PRIVATE_HEADER.search(target):
        yield Finding(path, line, "private-header", f"'{name}' is private to {target_room}/")
    if include_graph.TESTING_HEADER.search(target) and not include_graph.is_test(path):
        yield Finding(path, line, "private-header", f"'{name}' is for tests")


def include_findings(path: str, graph: include_graph.IncludeGraph):
    for line, bracket, name in graph.includes(path):
        yield from library_findings(path, line, name)
        target = graph.resolve(path, name)
        if target:
            if "/" not in name and not target.startswith("rust/"):
                yield Finding(
                    path, line, "include-form", f'write "{target.split("/", 1)[1]}": includes start at the room'
                )
            yield from own_include_findings(path, line, name, target)
        elif bracket == '"' and path.startswith(("src/", "include/")):
            yield Finding(path, line, "include-form", f'"{name}" is no file of this repository; libraries use <...>')
    if path.startswith(("src/", "include/")) and not include_graph.MLX_ALLOWED.match(path):
        chain = graph.path_to_mlx(path)
        if chain:
            yield Finding(path, 1, "mlx-free", f"must not reach MLX, but does: {' -> '.join(chain)}")


def tree_findings(root: pathlib.Path, files: list[str]):
    public = [path for path in files if path.startswith("include/") and path.endswith(".h")]
    if len(public) > MAX_PUBLIC_HEADERS:
        yield Finding(
            "include/mlx_serving", 1, "public-headers", f"{len(public)} headers, at most {MAX_PUBLIC_HEADERS}"
        )
    rooms = {include_graph.room_of(path) for path in files if path.endswith(CPP)} - {None}
    for room in sorted(rooms):
        if f"src/{room}/README.md" not in files:
            yield Finding(
                f"src/{room}", 1, "room-readme", "a room has a README.md: duty, entry header, what it may include"
            )
        if room not in include_graph.LEVELS:
            yield Finding(f"src/{room}", 1, "layers", "an unknown room; place it in LEVELS of tools/include_graph.py")
    if ".clang-tidy" in files:
        yield from tidy_findings((root / ".clang-tidy").read_text())


def tidy_findings(text: str):
    checks = re.search(r"^Checks:(.*?)^\w", text, re.MULTILINE | re.DOTALL)
    entries = re.findall(r"[^\s,>'\"]+", checks[1]) if checks else []
    for entry in entries:
        if entry.startswith("-") and entry not in TIDY_OFF:
            yield Finding(".clang-tidy", 1, "tidy-list", f"'{entry}' switches off what the list switches on")
    if not entries or entries[0] != "-*":
        yield Finding(".clang-tidy", 1, "tidy-list", "the list must begin with -*: it is a positive list")


def file_findings(root: pathlib.Path, path: str, graph: include_graph.IncludeGraph):
    data = (root / path).read_bytes()
    if len(data) > MAX_FILE_BYTES:
        yield Finding(path, 1, "file-bytes", f"{len(data) >> 10} KiB; at most {MAX_FILE_BYTES >> 10} KiB are tracked")
    if b"\0" in data or GENERATED.search(path):
        return
    text = data.decode("utf-8", errors="replace")
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if MACHINE_PATH.search(line):
            yield Finding(path, number, "machine-path", "a path of one machine; use a variable or a relative path")
    is_script = text.startswith("#!")
    if path.endswith(CODE) or is_script or path in ("Makefile", "CMakeLists.txt") or path.endswith("/CMakeLists.txt"):
        yield from line_findings(path, lines)
        yield from size_findings(path, len(lines))
        if text and not text.endswith("\n"):
            yield Finding(path, len(lines), "whitespace", "no newline at the end of the file")
    if path.endswith(CPP):
        yield from header_findings(path, text)
        yield from include_findings(path, graph)


def check_tree(root: pathlib.Path, files: list[str]) -> list[Finding]:
    graph = include_graph.IncludeGraph(root)
    findings = [finding for path in files for finding in file_findings(root, path, graph)]
    return findings + list(tree_findings(root, files))


def repository_files(root: pathlib.Path) -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    output = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout
    names = {name.decode() for name in output.split(b"\0") if name}
    return sorted(name for name in names if (root / name).is_file())


def main() -> int:
    default_root = pathlib.Path(__file__).resolve().parent.parent
    root = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else default_root
    findings = check_tree(root, repository_files(root))
    errors = [finding for finding in findings if not finding.is_warning]
    for finding in findings:
        print(finding)
    print(f"check_style: {len(errors)} errors, {len(findings) - len(errors)} warnings")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
