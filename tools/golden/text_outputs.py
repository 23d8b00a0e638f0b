"""Outputs of models and what a client sees of them: reasoning, text and tool calls. The expectations are written by hand.

`names` are the tools that may be called (none: any). `start` "inside" means that the prompt opened the reasoning.
"""

import json
from pathlib import Path

from golden.output_cases import CASES


def write(folder: Path) -> None:
    names = [item["name"] for item in CASES]
    assert len(set(names)) == len(names)
    content = {"comment": __doc__, "cases": CASES}
    (folder / "outputs.json").write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")
