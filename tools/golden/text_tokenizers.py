"""Small tokenizers, trained here, and what they make of the strings.

Byte-level BPE for each pre-tokenizer that a GGUF can name, SentencePiece BPE with byte fallback (by sentencepiece itself
and in Hugging Face's form), and a unigram model.
"""

import io
import json
from pathlib import Path

import sentencepiece
import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.convert_slow_tokenizer import generate_merges

from golden.text_storage import different, random_ids, write_ids, write_json

CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = CL100K.replace(r"\p{N}{1,3}", r"\p{N}")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
WORD = [rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+", rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*"]
REST = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN = "|".join([*WORD, r"\p{N}", REST])
O200K = "|".join([*(word + r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?" for word in WORD), r"\p{N}{1,3}", REST])
DEFAULT = [
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
]


def _byte_level(patterns: list[str]) -> pre_tokenizers.PreTokenizer:
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    return pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


# name in tokenizer.ggml.pre: (pre-tokenizer, ignore_merges, normalizer)
BYTE_LEVEL = {
    "default": (_byte_level(DEFAULT), False, None),
    "gpt-2": (pre_tokenizers.ByteLevel(add_prefix_space=False), False, None),
    "smollm": (
        pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
        False,
        None,
    ),
    "llama-bpe": (_byte_level([CL100K]), True, None),
    "dbrx": (_byte_level([CL100K]), False, None),
    "qwen2": (_byte_level([QWEN2]), False, normalizers.NFC()),
    "tekken": (_byte_level([TEKKEN]), True, None),
    "gpt-4o": (_byte_level([O200K]), False, None),
}
SPECIAL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]


def expectation(tokenizer: tokenizers.Tokenizer, strings: list[str], seed: int, special: list[int]) -> dict:
    """What else is expected of a tokenizer besides the ids of the strings."""
    parsed = [tokenizer.encode(text, add_special_tokens=False).ids for text in strings]
    tokenizer.encode_special_tokens = True
    as_text = [tokenizer.encode(text, add_special_tokens=False).ids for text in strings]
    tokenizer.encode_special_tokens = False
    decoded = [tokenizer.decode(ids, skip_special_tokens=False) for ids in parsed]
    sequences = random_ids(tokenizer.get_vocab_size(), seed, special)
    return {
        "ids_as_text": different(parsed, as_text),
        "decoded": different(strings, decoded),
        "random": [
            {
                "ids": ids,
                "text": tokenizer.decode(ids, skip_special_tokens=False),
                "text_without_special": tokenizer.decode(ids, skip_special_tokens=True),
            }
            for ids in sequences
        ],
    }


def _write(folder: Path, name: str, tokenizer: tokenizers.Tokenizer, strings: list[str], more: dict) -> None:
    write_json(folder / f"{name}.tokenizer.json", json.loads(tokenizer.to_str()))
    # Read back: the library's own reader of numbers is off by one unit in the last place at times, which breaks ties.
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / f"{name}.tokenizer.json"))
    write_ids(folder / f"{name}.ids", [tokenizer.encode(text, add_special_tokens=False).ids for text in strings])
    special = [tokenizer.token_to_id(token) for token in SPECIAL if tokenizer.token_to_id(token) is not None]
    around = tokenizer.encode("a", add_special_tokens=True).ids
    content = {**more, "around_a": around, **expectation(tokenizer, strings, len(name), special)}
    write_json(folder / f"{name}.json", content)


def _make_byte_level(folder: Path, strings: list[str]) -> None:
    for name, (pre_tokenizer, ignores_merges, normalizer) in BYTE_LEVEL.items():
        tokenizer = tokenizers.Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizer
        tokenizer.decoder = decoders.ByteLevel()
        if normalizer is not None:
            tokenizer.normalizer = normalizer
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        trainer = trainers.BpeTrainer(
            vocab_size=700, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(strings, trainer)
        model = json.loads(tokenizer.to_str())["model"]
        # A word that is a token but that no merge leads to: only what ignores merges finds it whole.
        vocab = {**model["vocab"], "zqzq": len(model["vocab"])}
        merges = [tuple(merge) for merge in model["merges"]]
        tokenizer.model = models.BPE(vocab=vocab, merges=merges, ignore_merges=ignores_merges)
        tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
        tokenizer.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
        bos = tokenizer.token_to_id("<s>")
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", bos)])
        comment = f"byte-level BPE with the pre-tokenizer '{name}'; expected by tokenizers {tokenizers.__version__}"
        _write(folder, f"bpe_{name}", tokenizer, strings, {"comment": comment, "pre": name, "bos_id": bos})


def _train_sentencepiece(
    strings: list[str], kind: str, adds_prefix: bool = True
) -> sentencepiece.SentencePieceProcessor:
    model = io.BytesIO()
    # Only Latin, Greek and a few emoji get pieces: all other characters go through the byte tokens.
    is_learnt = lambda text: all((" " <= c < "\u0400" and c.isprintable()) or c in "😀💯🫠" for c in text)  # noqa: E731
    sentences = [text for text in strings if text and is_learnt(text)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        model_type=kind,
        vocab_size=900,
        hard_vocab_limit=False,
        byte_fallback=kind == "bpe",
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=adds_prefix,
        allow_whitespace_only_pieces=True,
        split_digits=True,
        user_defined_symbols=["<|user|>", "<tool_call>"],
        character_coverage=0.98,
        num_threads=1,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def _vocabulary(model: sentencepiece.SentencePieceProcessor) -> dict:
    def kind(index: int) -> int:
        for code, test in ((2, model.is_unknown), (3, model.is_control), (5, model.is_unused), (6, model.is_byte)):
            if test(index):
                return code
        return 4 if model.id_to_piece(index) in ("<|user|>", "<tool_call>") else 1

    ids = range(model.get_piece_size())
    return {
        "tokens": [model.id_to_piece(index) for index in ids],
        "scores": [model.get_score(index) for index in ids],
        "types": [kind(index) for index in ids],
    }


def _hugging_face_bpe(vocabulary: dict, adds_prefix: bool) -> tokenizers.Tokenizer:
    vocab = {token: index for index, token in enumerate(vocabulary["tokens"])}
    scores = dict(zip(vocabulary["tokens"], vocabulary["scores"], strict=True))
    model = models.BPE(vocab, generate_merges(vocab, scores), unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = tokenizers.Tokenizer(model)
    prepend = [normalizers.Prepend("▁")] if adds_prefix else []
    tokenizer.normalizer = normalizers.Sequence([*prepend, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if adds_prefix else []
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    tokenizer.decoder = decoders.Sequence(steps)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL[:3]])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in ("<|user|>", "<tool_call>")])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def _make_sentencepiece(folder: Path, strings: list[str]) -> None:
    for name, adds_prefix in (("spm_prefix", True), ("spm_plain", False)):
        model = _train_sentencepiece(strings, "bpe", adds_prefix)
        vocabulary = _vocabulary(model)
        tokenizer = _hugging_face_bpe(vocabulary, adds_prefix)
        tokenizer.encode_special_tokens = True
        as_text = [tokenizer.encode(text, add_special_tokens=False).ids for text in strings]
        tokenizer.encode_special_tokens = False
        own = [model.encode(text) for text in strings]
        sequences = [item["ids"] for item in expectation(tokenizer, strings, len(name), [0, 1, 2])["random"]]
        more = {
            "comment": "SentencePiece BPE with byte fallback. `ids_sentencepiece`: where sentencepiece itself and Hugging "
            "Face's form of the model differ; Hugging Face matches added tokens before it adds the word mark, so text "
            "after one gets a word mark of its own. Broken runs of byte tokens: Hugging Face replaces each byte of the "
            "run, sentencepiece only those that belong to no character; `random_sentencepiece` is what we follow.",
            "add_space_prefix": adds_prefix,
            "vocabulary": vocabulary,
            "ids_sentencepiece": different(as_text, own),
            "random_sentencepiece": [model.decode(ids) for ids in sequences],
        }
        print(name, "differs from sentencepiece at", len(more["ids_sentencepiece"]), "strings")
        _write(folder, name, tokenizer, strings, more)


def _make_unigram(folder: Path, strings: list[str]) -> None:
    vocabulary = _vocabulary(_train_sentencepiece(strings, "unigram"))
    pieces = list(zip(vocabulary["tokens"], vocabulary["scores"], strict=True))
    tokenizer = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL[:3]])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    comment = f"unigram, its pieces trained by sentencepiece; expected by tokenizers {tokenizers.__version__}"
    _write(folder, "unigram", tokenizer, strings, {"comment": comment})


def write(folder: Path, strings: list[str]) -> None:
    _make_byte_level(folder, strings)
    _make_sentencepiece(folder, strings)
    _make_unigram(folder, strings)
