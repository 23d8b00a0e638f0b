"""The default model's vocabulary in a compact form, and what Transformers' GGUF loader makes of the strings.

smollm2.vocabulary: little-endian; u16 number of base tokens, each as u16 length and bytes, then the merges as pairs of
u16 ids; the token of merge k has the id (number of base tokens) + k.
"""

import struct
from pathlib import Path

import gguf
import tokenizers
import transformers

from golden.text_storage import different, write_ids, write_json
from golden.text_templates import render_default
from golden.text_tokenizers import expectation


def _write_vocabulary(path: Path, tokens: list[str], merges: list[str]) -> None:
    ids = {token: index for index, token in enumerate(tokens)}
    num_base = len(tokens) - len(merges)
    with path.open("wb") as file:
        file.write(struct.pack("<H", num_base))
        for token in tokens[:num_base]:
            text = token.encode()
            file.write(struct.pack("<H", len(text)) + text)
        for index, merge in enumerate(merges):
            left, right = merge.split(" ")
            assert ids[left + right] == num_base + index, "a merge whose token is not the next id"
            file.write(struct.pack("<HH", ids[left], ids[right]))


def write(folder: Path, path: Path, strings: list[str]) -> None:
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    _write_vocabulary(folder / "smollm2.vocabulary", tokens, fields["tokenizer.ggml.merges"].contents())
    loaded = transformers.AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    backend = loaded.backend_tokenizer
    write_ids(folder / "smollm2.ids", [loaded.encode(text, add_special_tokens=False) for text in strings])

    # Transformers' loader ignores tokenizer.ggml.pre, which sets digits apart before GPT-2's pattern.
    exact = tokenizers.Tokenizer.from_str(backend.to_str())
    steps = [tokenizers.pre_tokenizers.Digits(True), tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)]
    exact.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(steps)
    by_loader = [backend.encode(text, add_special_tokens=False).ids for text in strings]
    by_pre = [exact.encode(text, add_special_tokens=False).ids for text in strings]
    types = fields["tokenizer.ggml.token_type"].contents()
    special = [index for index, kind in enumerate(types) if kind == 3]
    print("smollm2: the loader ignores the digits' split in", len(different(by_loader, by_pre)), "strings")
    content = {
        "comment": "Expected by Transformers' GGUF loader. It ignores tokenizer.ggml.pre; `ids_by_pre` has the strings "
        "where the model's own split (each digit alone, then GPT-2's pattern) gives other ids, which are what we follow.",
        "pre": "smollm",
        "control_ids": special,
        "bos_id": 1,
        "eos_id": 2,
        "ids_by_pre": different(by_loader, by_pre),
        "chat_template": fields["tokenizer.chat_template"].contents(),
        "cases": render_default(fields["tokenizer.chat_template"].contents()),
        **expectation(exact, strings, 7, special),
    }
    write_json(folder / "smollm2.json", content)
