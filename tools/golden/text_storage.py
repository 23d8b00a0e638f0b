"""Files of tests/golden/text. An .ids file holds, for each string in order, its number of ids and the ids, all as
little-endian 16-bit numbers."""

import json
import random
import struct
from pathlib import Path


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, ensure_ascii=True, indent=None, separators=(",", ":")) + "\n")


def write_ids(path: Path, lists: list[list[int]]) -> None:
    with path.open("wb") as file:
        for ids in lists:
            file.write(struct.pack(f"<{len(ids) + 1}H", len(ids), *ids))


def different(expected: list, got: list) -> dict[str, list]:
    """Where `got` is not what `expected` says, by index."""
    pairs = enumerate(zip(expected, got, strict=True))
    return {str(index): value for index, (wanted, value) in pairs if wanted != value}


def random_ids(num_ids: int, seed: int, special: list[int]) -> list[list[int]]:
    """Sequences that no text gives: broken characters, special tokens anywhere, ids beyond the vocabulary."""
    rng = random.Random(seed)
    sequences = []
    for _ in range(100):
        # Low ids are where byte tokens and special tokens are.
        pick = lambda: rng.choice([rng.randrange(num_ids), rng.randrange(min(num_ids, 300)), rng.choice(special)])  # noqa: E731
        sequences.append([pick() for _ in range(rng.randint(1, 24))])
    return sequences
