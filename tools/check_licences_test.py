#!/usr/bin/env python3
"""Unit tests of check_licences.py."""

import unittest

import check_licences as licences


class ExpressionTest(unittest.TestCase):
    def test_allowed(self):
        for expression in (
            "MIT",
            "MIT OR GPL-3.0-only",
            "GPL-3.0-only OR MIT",
            "MIT/Apache-2.0",
            "(MIT OR GPL-2.0) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
            "Apache-2.0 WITH LLVM-exception OR MIT",
        ):
            self.assertTrue(licences.is_allowed(expression, licences.ALLOWED), expression)

    def test_refused(self):
        for expression in (
            "GPL-3.0-only",
            "MIT AND GPL-3.0-only",
            "AGPL-3.0-or-later OR SSPL-1.0",
            "Apache-2.0 WITH Classpath-exception-2.0",
        ):
            self.assertFalse(licences.is_allowed(expression, licences.ALLOWED), expression)

    def test_and_binds_tighter_than_or(self):
        self.assertTrue(licences.is_allowed("MIT OR GPL-2.0 AND LGPL-2.1", licences.ALLOWED))
        self.assertFalse(licences.is_allowed("(MIT OR GPL-2.0) AND LGPL-2.1", licences.ALLOWED))

    def test_not_spdx(self):
        for expression in ("MIT Apache-2.0", "MIT OR", "(MIT", "AND MIT", "MIT WITH"):
            with self.assertRaises(licences.LicenceError, msg=expression):
                licences.is_allowed(expression, licences.ALLOWED)


class DependencyTest(unittest.TestCase):
    def test_python(self):
        locks = {"cpu": "mlx==1 \\\n    --hash=sha256:0\n", "cuda13": "nvidia_cublas==1 \\\n"}
        table = {"mlx": "MIT", "nvidia-cublas": "LicenseRef-NVIDIA-Proprietary"}
        self.assertEqual(licences.python_complaints(locks, table), [])

    def test_python_complaints_name_package_and_mend(self):
        [complaint] = licences.python_complaints({"cpu": "mlx==1\n"}, {"mlx": "GPL-3.0-only"})
        self.assertRegex(complaint, r"cpu\.txt: mlx is under 'GPL-3.0-only'.*replace")
        [complaint] = licences.python_complaints({"cpu": "mlx==1\n"}, {})
        self.assertRegex(complaint, r"mlx has no row; add")
        [complaint] = licences.python_complaints({}, {"mlx": "MIT"})
        self.assertRegex(complaint, r"mlx is in no lock file")
        [complaint] = licences.python_complaints({"test": "a==1\n"}, {"a": "LicenseRef-NVIDIA-Proprietary"})
        self.assertRegex(complaint, r"a is under")

    def test_crates(self):
        def package(name, licence, source="registry"):
            return {"name": name, "version": "1.0.0", "license": licence, "source": source}

        packages = [package("a", "MIT"), package("b", None), package("c", "GPL-3.0"), package("own", None, None)]
        complaints = licences.crate_complaints({"packages": packages})
        self.assertEqual(len(complaints), 2)
        self.assertRegex(complaints[0], r"b 1\.0\.0 states no licence")
        self.assertRegex(complaints[1], r"c 1\.0\.0 is under 'GPL-3\.0'")

    def test_table(self):
        self.assertEqual(licences.read_table("# head\nA_b  MIT OR X  # why\n\n"), {"a-b": "MIT OR X"})


if __name__ == "__main__":
    unittest.main(verbosity=0)
