#!/usr/bin/env python3
"""Checks that the licence of every locked dependency may stand beside Apache-2.0.

Rust: the metadata of the crates in Cargo.lock. Node: the licences in package-lock.json. Python: requirements/licences.txt, one row per package named in a lock file
(package indexes spell licences in too many ways to trust). Downloads nothing but crates that cargo lacks.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Licences that ask for no more than notice. MPL-2.0 binds only its own files, which are used unchanged.
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "CNRI-Python",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "PSF-2.0",
    "Python-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}
ALLOWED_EXCEPTIONS = {"LLVM-exception"}
# Never distributed with this project: the user's own pip fetches them, for the back end or the tool that needs them.
FETCHED_BY_USER = {"LicenseRef-NVIDIA-Proprietary": {"cuda13", "golden"}}


class LicenceError(ValueError):
    """An expression that is not SPDX."""


def is_allowed(expression: str, allowed: set[str]) -> bool:
    """Evaluates an SPDX expression: OR needs one side, AND both. `/` is crates' old way to write OR.

    ERRORS: LicenceError where the expression cannot be read.
    """
    tokens = re.findall(r"[()]|[\w.+-]+", expression.replace("/", " OR "))
    position = 0

    def peek() -> str | None:
        return tokens[position] if position < len(tokens) else None

    def take() -> str:
        nonlocal position
        if position >= len(tokens):
            raise LicenceError(f"'{expression}' ends too early")
        position += 1
        return tokens[position - 1]

    def parse_or() -> bool:
        result = parse_and()
        while peek() == "OR":
            take()
            result = parse_and() or result
        return result

    def parse_and() -> bool:
        result = parse_licence()
        while peek() == "AND":
            take()
            result = parse_licence() and result
        return result

    def parse_licence() -> bool:
        token = take()
        if token == "(":
            result = parse_or()
            if take() != ")":
                raise LicenceError(f"'{expression}' lacks a closing parenthesis")
            return result
        if token in ("OR", "AND", "WITH", ")"):
            raise LicenceError(f"'{expression}' has '{token}' where a licence belongs")
        result = token in allowed
        if peek() == "WITH":
            take()
            result = take() in ALLOWED_EXCEPTIONS and result
        return result

    result = parse_or()
    if peek() is not None:
        raise LicenceError(f"'{expression}' goes on with '{peek()}'")
    return result


def judge(origin: str, name: str, expression: str | None, allowed: set[str]) -> str | None:
    """Returns the complaint about one dependency, or None."""
    if not expression:
        return f"{origin}: {name} states no licence; find it out, or replace the dependency"
    try:
        if is_allowed(expression, allowed):
            return None
    except LicenceError as error:
        return f"{origin}: {name}: {error}; write it as an SPDX expression"
    return (
        f"{origin}: {name} is under '{expression}', which is not in ALLOWED of tools/check_licences.py; "
        "replace the dependency, or add the licence there once it is clear that it may stand beside Apache-2.0"
    )


def crate_complaints(metadata: dict) -> list[str]:
    complaints = []
    for package in metadata["packages"]:
        if package["source"] is not None:
            name = f"{package['name']} {package['version']}"
            complaints.append(judge("Cargo.lock", name, package["license"], ALLOWED))
    return [complaint for complaint in complaints if complaint]


def npm_complaints(lock: dict) -> list[str]:
    """`lock` is a package-lock.json; its entry without a name is the project itself."""
    packages = ((name, package) for name, package in lock["packages"].items() if name)
    judged = (judge("package-lock.json", name, package.get("license"), ALLOWED) for name, package in packages)
    return [complaint for complaint in judged if complaint]


def cargo_metadata(manifest: pathlib.Path) -> dict:
    """Asks cargo, first without the network; a crate of another platform may not have been fetched yet."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--manifest-path", str(manifest)]
    for extra in (["--offline"], []):
        process = subprocess.run([*command, *extra], capture_output=True, text=True, check=False)
        if process.returncode == 0:
            return json.loads(process.stdout)
    raise RuntimeError(f"cargo metadata failed: {process.stderr.strip()}")


def normal_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_table(text: str) -> dict[str, str]:
    rows = (line.split("#")[0].split(None, 1) for line in text.splitlines())
    return {normal_name(row[0]): row[1].strip() for row in rows if len(row) == 2}


def locked_names(text: str) -> list[str]:
    return [normal_name(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)]


def python_complaints(locks: dict[str, str], table: dict[str, str]) -> list[str]:
    """`locks` maps the name of a lock file (cpu, test, ...) to its text."""
    complaints, used = [], set()
    for lock, text in locks.items():
        extra = {licence for licence, where in FETCHED_BY_USER.items() if lock in where}
        for name in locked_names(text):
            used.add(name)
            origin = f"requirements/{lock}.txt"
            if name not in table:
                complaints.append(f"{origin}: {name} has no row; add its SPDX expression to requirements/licences.txt")
            else:
                complaints.append(judge(origin, name, table[name], ALLOWED | extra))
    for name in sorted(set(table) - used):
        complaints.append(f"requirements/licences.txt: {name} is in no lock file; delete its row")
    return [complaint for complaint in complaints if complaint]


def main() -> int:
    requirements = ROOT / "requirements"
    table_path = requirements / "licences.txt"
    locks = {path.stem: path.read_text() for path in sorted(requirements.glob("*.txt")) if path != table_path}
    complaints = python_complaints(locks, read_table(table_path.read_text()))
    num_crates = 0
    for manifest in sorted(ROOT.glob("rust/*/Cargo.toml")):
        try:
            metadata = cargo_metadata(manifest)
        except (OSError, RuntimeError) as error:
            complaints.append(f"{manifest.relative_to(ROOT)}: {error}")
            continue
        num_crates += len(metadata["packages"])
        complaints += crate_complaints(metadata)
    num_npm = 0
    for path in sorted(ROOT.glob("bindings/*/package-lock.json")):
        lock = json.loads(path.read_text())
        num_npm += len(lock["packages"]) - 1
        complaints += npm_complaints(lock)
    for complaint in complaints:
        print(complaint)
    num_python = len({name for text in locks.values() for name in locked_names(text)})
    print(
        f"check_licences: {num_crates} crates, {num_python} Python packages, {num_npm} npm packages, "
        f"{len(complaints)} complaints"
    )
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
