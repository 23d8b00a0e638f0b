"""The names of the package mlx_lm on this engine: load, generate, stream_generate, make_sampler.

A model is an Engine and the tokenizer its text side, so several calls at a time run as one batch. What mlx_lm has and this
engine has not (draft models, logits processors of one's own) raises UnsupportedError.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .engine import Engine
from .errors import UnsupportedError
from .streams import Stream
from .types import Message, Timings


@dataclass(frozen=True)
class Sampler:
    """What make_sampler() returns: fields of a request."""

    temperature: float = 0.0
    top_p: float = 1.0
    min_p: float = 0.0
    top_k: int = 0


def make_sampler(temp: float = 0.0, top_p: float = 0.0, min_p: float = 0.0, top_k: int = 0, **others: Any) -> Sampler:
    """As in mlx_lm, a `top_p` of 0 is off."""
    for name, value in others.items():
        if value:
            raise UnsupportedError(f"{name} is not supported by this engine", param=name)
    return Sampler(temp, top_p or 1.0, min_p, top_k)


class Tokenizer:
    """The text side of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return self._engine.tokenize(text, add_special_tokens=add_special_tokens)

    def decode(self, token_ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        return self._engine.detokenize(token_ids, skip_special_tokens=skip_special_tokens)

    def apply_chat_template(
        self,
        messages: Sequence[Message],
        *,
        tokenize: bool = True,
        add_generation_prompt: bool = True,
        **template_kwargs: Any,
    ) -> str | list[int]:
        make = self._engine.prompt_token_ids if tokenize else self._engine.apply_template
        variables = template_kwargs or None
        return make(messages, add_generation_prompt=add_generation_prompt, chat_template_kwargs=variables)


@dataclass(frozen=True)
class GenerationResponse:
    """A piece of an answer. `token` is its last one; the speeds are there once the answer is complete."""

    text: str
    token: int | None
    prompt_tokens: int
    generation_tokens: int
    prompt_tps: float = 0.0
    generation_tps: float = 0.0
    finish_reason: str | None = None
    from_draft: bool = False


def load(path_or_name: str | os.PathLike[str] | None = None, **options: Any) -> tuple[Engine, Tokenizer]:
    """Opens a model. Nothing is downloaded: give a folder, a file or a name in MLX_SERVING_HOME."""
    engine = Engine(path_or_name, **options)
    return engine, Tokenizer(engine)


def stream_generate(
    model: Engine,
    tokenizer: Tokenizer,
    prompt: str | Sequence[int],
    *,
    max_tokens: int = 256,
    sampler: Sampler | None = None,
    **others: Any,
) -> Iterator[GenerationResponse]:
    for name, value in others.items():
        if value is not None:
            raise UnsupportedError(f"{name} is not supported by this engine", param=name)
    chosen = sampler or Sampler()
    stream = model.stream(
        prompt,
        max_tokens=max_tokens,
        temperature=chosen.temperature,
        top_p=chosen.top_p,
        min_p=chosen.min_p,
        top_k=chosen.top_k,
    )
    return _responses(stream)


def _responses(stream: Stream) -> Iterator[GenerationResponse]:
    num_tokens = 0
    with stream:
        for delta in stream:
            num_tokens += len(delta.token_ids)
            finish = delta.finish
            prompt_tokens = stream.prompt_tokens or 0
            prompt_tps, generation_tps = _speeds(finish.timings, prompt_tokens, num_tokens) if finish else (0.0, 0.0)
            yield GenerationResponse(
                text=delta.text,
                token=delta.token_ids[-1] if delta.token_ids else None,
                prompt_tokens=prompt_tokens,
                generation_tokens=num_tokens,
                prompt_tps=prompt_tps,
                generation_tps=generation_tps,
                finish_reason=finish.reason if finish else None,
            )


def _speeds(timings: Timings, prompt_tokens: int, num_tokens: int) -> tuple[float, float]:
    prefill_s, decode_s = timings.prefill_ms / 1e3, timings.decode_ms / 1e3
    return (
        prompt_tokens / prefill_s if prefill_s > 0 else 0.0,
        (num_tokens - 1) / decode_s if decode_s > 0 else 0.0,
    )


def generate(
    model: Engine, tokenizer: Tokenizer, prompt: str | Sequence[int], verbose: bool = False, **kwargs: Any
) -> str:
    text = ""
    for response in stream_generate(model, tokenizer, prompt, **kwargs):
        text += response.text
        if verbose:
            print(response.text, end="", flush=True)
    if verbose:
        print()
    return text


__all__ = ["GenerationResponse", "Sampler", "Tokenizer", "generate", "load", "make_sampler", "stream_generate"]
