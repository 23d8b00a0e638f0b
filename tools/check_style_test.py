#!/usr/bin/env python3
"""Unit tests of check_style.py and include_graph.py: each rule finds its sample and stays quiet on the clean tree."""

import pathlib
import tempfile
import unittest

import check_style
import include_graph

CLEAN = {
    "include/mlx_serving/engine.h": "// The engine.\n#pragma once\n",
    "src/base/README.md": "",
    "src/base/clock.h": "// A clock.\n#pragma once\n#include <chrono>\n",
    "src/cache/README.md": "",
    "src/cache/page_pool.cpp": '// Pages.\n#include "base/clock.h"\n',
    "src/kernels/README.md": "",
    "src/kernels/rope.h": "// Rope.\n#pragma once\n#include <mlx/mlx.h>\n",
    "src/model/README.md": "",
    "src/model/decoder.cpp": '// The decoder.\n#include "kernels/rope.h"\n',
    "src/server/README.md": "",
    "src/server/http.cpp": '// HTTP.\n#include <boost/asio.hpp>\n#include "base/clock.h"\n#include "mlx_serving/engine.h"\n',
    "src/cli/README.md": "",
    "src/cli/serve.cpp": '// The command.\n#include "server/http.h"\n',
    "src/server/http.h": "// HTTP.\n#pragma once\n",
    ".clang-tidy": "Checks: >\n  -*,\n  bugprone-*,\n  -bugprone-easily-swappable-parameters\nFormatStyle: file\n",
}
MARK = "TO" + "DO"


def rules_of(extra: dict[str, str]) -> list[str]:
    """The rules that a tree of the clean files and `extra` breaks, without warnings."""
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        files = CLEAN | extra
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        findings = check_style.check_tree(root, sorted(files))
        return [finding.rule for finding in findings if not finding.is_warning]


def cpp(body: str) -> str:
    return f"// A file.\n{body}\n"


class CheckStyleTest(unittest.TestCase):
    def expect(self, rules: list[str], path: str, text: str) -> None:
        self.assertEqual(rules_of({path: text}), rules, f"{path}: {text[:200]!r}")

    def test_the_clean_tree_is_clean(self):
        self.assertEqual(rules_of({}), [])

    def test_upward_include(self):
        self.expect(["layers"], "src/cache/a.cpp", cpp('#include "server/http.h"'))

    def test_sibling_include(self):
        self.expect(["layers", "mlx-free"], "src/cache/a.cpp", cpp('#include "kernels/rope.h"'))

    def test_public_header_includes_private_header(self):
        self.expect(["layers"], "include/mlx_serving/event.h", cpp('#pragma once\n#include "base/clock.h"'))

    def test_rust_header_outside_of_text(self):
        files = {"rust/ffi/include/ffi.h": "", "src/base/a.cpp": cpp('#include "ffi.h"')}
        self.assertEqual(rules_of(files), ["layers"])

    def test_private_headers(self):
        files = {
            "src/server/detail/parse.h": cpp("#pragma once"),
            "src/cli/a.cpp": cpp('#include "server/detail/parse.h"'),
        }
        self.assertEqual(rules_of(files), ["private-header"])
        files = {
            "src/server/testing/fake.h": cpp("#pragma once"),
            "src/server/a.cpp": cpp('#include "server/testing/fake.h"'),
        }
        self.assertEqual(rules_of(files), ["private-header"])
        files = {
            "src/server/testing/fake.h": cpp("#pragma once"),
            "src/cli/a_test.cpp": cpp('#include "server/testing/fake.h"'),
        }
        self.assertEqual(rules_of(files), [])

    def test_mlx_reached_through_another_header(self):
        files = {"src/model/layers.h": cpp('#pragma once\n#include "kernels/rope.h"')}
        self.assertEqual(rules_of(files), [])
        files["src/server/a.cpp"] = cpp('#include "model/layers.h"')
        self.assertEqual(rules_of(files), ["mlx-free"])

    def test_mlx_free_parts_of_mixed_rooms(self):
        for path in ("src/engine/scheduler.cpp", "src/model/checkpoint/a.cpp", "src/model/families/a.cpp"):
            room = path.split("/")[1]
            files = {path: cpp("#include <mlx/mlx.h>"), f"src/{room}/README.md": ""}
            self.assertEqual(rules_of(files), ["mlx-free"], path)
        files = {"src/engine/mlx_runner.cpp": cpp("#include <mlx/mlx.h>"), "src/engine/README.md": ""}
        self.assertEqual(rules_of(files), [])

    def test_mlx_private_headers(self):
        self.expect(["mlx-private"], "src/model/a.cpp", cpp("#include <mlx/backend/metal/device.h>"))
        self.expect([], "src/kernels/a.cpp", cpp("#include <mlx/backend/metal/device.h>"))

    def test_libraries_of_one_room(self):
        self.expect(["library-room"], "src/base/a.cpp", cpp("#include <boost/beast/http.hpp>"))
        self.expect(["library-room"], "src/server/a.cpp", cpp("#include <boost/json/parse.hpp>"))
        self.expect(["json-parse"], "src/server/a.cpp", cpp("auto v = boost::json::parse(text);"))

    def test_include_form(self):
        self.expect(["include-form"], "src/base/a.cpp", cpp('#include "clock.h"'))
        self.expect(["include-form"], "src/base/a.cpp", cpp('#include "base/no_such_file.h"'))

    def test_sizes(self):
        self.expect([], "src/base/a.cpp", cpp("int x;\n" * 590))
        self.expect(["file-size"], "src/base/a.cpp", cpp("int x;\n" * 600))
        self.expect([], "src/base/a_test.cpp", cpp("int x;\n" * 790))
        self.expect(["file-size"], "src/base/a_test.cpp", cpp("int x;\n" * 800))
        self.expect(["file-size"], "include/mlx_serving/a.h", cpp("#pragma once\n" + "int x;\n" * 200))
        self.expect(["file-bytes"], "tests/golden/a.json", " " * (2 << 20) + "  ")

    def test_number_of_public_headers(self):
        files = {f"include/mlx_serving/a{number}.h": cpp("#pragma once") for number in range(8)}
        self.assertEqual(rules_of(files), ["public-headers"])

    def test_marks(self):
        self.expect(["todo"], "src/base/a.cpp", cpp(f"// {MARK}: later"))
        self.expect([], "src/base/a.cpp", cpp(f"// {MARK}(#12): later"))
        self.expect(["todo"], "src/base/a.py", "# FIX" + "ME(#12)\n")

    def test_nolint_needs_check_and_reason(self):
        word = "NO" + "LINT"
        self.expect(["nolint"], "src/base/a.cpp", cpp(f"int x;  // {word}"))
        self.expect(["nolint"], "src/base/a.cpp", cpp(f"int x;  // {word}(bugprone-x)"))
        self.expect([], "src/base/a.cpp", cpp(f"int x;  // {word}(bugprone-x): the library asks for it"))

    def test_form(self):
        self.expect(["ascii"], "src/base/a.cpp", cpp("// caf\u00e9"))
        self.expect(["top-comment"], "src/base/a.cpp", "int x;\n")
        self.expect(["pragma-once"], "src/base/a.h", cpp("int x;"))
        self.expect(["whitespace"], "src/base/a.cpp", cpp("int x; "))
        self.expect(["whitespace"], "src/base/a.cpp", "// A file.\nint x;")
        self.expect(["machine-path"], "README.md", "see /" + "home/me/x\n")
        self.expect([], "README.md", "see ~/.cache and https://host/home/me\n")

    def test_dead_code(self):
        for line in ("// foo.bar(1);", "// return x + 1;", "// if (x) {", "// auto y = f(x);", "// #include <a>"):
            self.expect(["dead-code"], "src/base/a.cpp", cpp(line))
        for line in ("// Returns x; then stops.", "//   auto y = f(x);", "// if (x) fails, it ends."):
            self.expect([], "src/base/a.cpp", cpp(line))

    def test_bool_parameters_of_public_functions(self):
        self.expect(["bool-parameter"], "include/mlx_serving/a.h", cpp("#pragma once\nvoid f(int x, bool fast);"))
        self.expect([], "include/mlx_serving/a.h", cpp("#pragma once\n// f(bool x)\nstruct A { bool fast = false; };"))

    def test_waiting_for_the_device(self):
        for code in ("mx::eval(x);", "x.eval();", "int y = x.item<int>();", "async_eval(x);"):
            self.expect(["device-wait"], "src/model/a.cpp", cpp(code))
        for path in ("src/kernels/a.cpp", "src/model/a_test.cpp"):
            self.expect([], path, cpp("mx::eval(x);"))
        self.expect([], "src/model/a.cpp", cpp('// eval(x)\nconst char* s = "eval(x)"; void eval_cpu(int);'))

    def test_rooms(self):
        self.expect(["room-readme"], "src/text/a.cpp", cpp("int x;"))
        files = {"src/attic/a.cpp": cpp("int x;"), "src/attic/README.md": ""}
        self.assertEqual(rules_of(files), ["layers"])

    def test_clang_tidy_list_stays_positive(self):
        self.expect(
            ["tidy-list"], ".clang-tidy", CLEAN[".clang-tidy"].replace("-*,\n", "-*,\n  -bugprone-use-after-move,\n", 1)
        )
        self.expect(["tidy-list"], ".clang-tidy", "Checks: >\n  bugprone-*\nFormatStyle: file\n")

    def test_generated_files_are_left_alone(self):
        self.expect([], "tests/golden/a.h", f"caf\u00e9 {MARK} \n")


class IncludeGraphTest(unittest.TestCase):
    def test_arrows(self):
        self.assertTrue(include_graph.arrow_allowed("server", "engine"))
        self.assertTrue(include_graph.arrow_allowed("cli", "server"))
        self.assertFalse(include_graph.arrow_allowed("server", "cli"))
        self.assertFalse(include_graph.arrow_allowed("base", "text"))
        self.assertFalse(include_graph.arrow_allowed("text", "cache"))

    def test_comments_and_strings_are_blanked_out_in_place(self):
        code = check_style.code_without_comments('int a; // x\n/* y\n */ f("z", \'"\', 1\'000);\nR"(w\n)" b')
        self.assertEqual(code.count("\n"), 4)
        for word in "xyzw":
            self.assertNotIn(word, code)
        self.assertIn("1'000", code)


if __name__ == "__main__":
    unittest.main(verbosity=0)
