#!/usr/bin/env python3
"""Writes tests/golden/text: what the text room must give, by `tokenizers`, `sentencepiece`, Transformers and `jsonschema`.

Called by make_golden.py as its part `text`. Without --gguf the default model's part is left as it is.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from golden import (  # noqa: E402
    text_default_model,
    text_outputs,
    text_schemas,
    text_strings,
    text_templates,
    text_tokenizers,
)
from golden.text_storage import write_json  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "golden")
    parser.add_argument("--gguf", type=Path, help="SmolLM2-135M-Instruct.Q4_1.gguf")
    options = parser.parse_args()
    folder = options.out / "text"
    folder.mkdir(parents=True, exist_ok=True)
    strings = text_strings.make()
    write_json(folder / "strings.json", {"comment": text_strings.__doc__, "strings": strings})
    text_tokenizers.write(folder, strings)
    text_templates.write(folder)
    text_schemas.write(folder)
    text_outputs.write(folder)
    if options.gguf is not None:
        text_default_model.write(folder, options.gguf, strings)


if __name__ == "__main__":
    main()
