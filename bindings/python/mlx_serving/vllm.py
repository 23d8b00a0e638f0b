"""The names of the package vllm on this engine: LLM, SamplingParams and what they return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from .engine import Engine
from .types import Completion, Message, Prompt


@dataclass
class SamplingParams:
    """vLLM's fields and defaults; None is the engine's own. What the engine does not have it refuses by name."""

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: str | Sequence[str] | None = None
    stop_token_ids: Sequence[int] | None = None
    ignore_eos: bool = False
    max_tokens: int | None = 16
    min_tokens: int | None = None
    logprobs: int | None = None
    logit_bias: Mapping[int, float] | None = None

    def fields(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class CompletionOutput:
    index: int
    text: str
    token_ids: list[int]
    finish_reason: str | None
    stop_reason: str | None = None
    cumulative_logprob: float | None = None
    logprobs: object | None = None


@dataclass(frozen=True)
class RequestOutput:
    request_id: str
    prompt: str | None
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput] = field(default_factory=list)
    finished: bool = True


class LLM:
    """A model for batches of prompts. Options are the settings of Engine."""

    def __init__(self, model: str | None = None, **options: Any) -> None:
        self.engine = Engine(model, **options)

    def generate(
        self,
        prompts: str | Sequence[str] | Sequence[Mapping[str, Any]],
        sampling_params: SamplingParams | None = None,
        use_tqdm: bool = False,
    ) -> list[RequestOutput]:
        """Answers all prompts in one batch, in their order. A prompt that fails raises its error."""
        listed: list[str | Mapping[str, Any]] = [prompts] if isinstance(prompts, str) else list(prompts)
        plain = [_prompt(prompt) for prompt in listed]
        params = sampling_params or SamplingParams()
        answers = self.engine.generate(plain, **cast(Any, params.fields()))
        return [
            self._output(number, prompt, answers[number * params.n : (number + 1) * params.n])
            for number, prompt in enumerate(plain)
        ]

    def chat(
        self,
        messages: Sequence[Message] | Sequence[Sequence[Message]],
        sampling_params: SamplingParams | None = None,
        use_tqdm: bool = False,
    ) -> list[RequestOutput]:
        """Answers one conversation, or a list of them in one batch."""
        is_one = not messages or isinstance(messages[0], Mapping)
        listed = [messages] if is_one else messages
        prompts = [{"prompt_token_ids": self.engine.prompt_token_ids(cast(Sequence[Message], one))} for one in listed]
        return self.generate(prompts, sampling_params)

    def get_tokenizer(self) -> Any:
        from .mlx_lm import Tokenizer

        return Tokenizer(self.engine)

    def close(self) -> None:
        self.engine.close()

    def _output(self, number: int, prompt: Prompt, answers: Sequence[Completion]) -> RequestOutput:
        for answer in answers:
            if answer.finish.error is not None:
                raise answer.finish.error
        is_text = isinstance(prompt, str)
        ids = self.engine.tokenize(prompt, add_special_tokens=True) if isinstance(prompt, str) else list(prompt)
        return RequestOutput(
            request_id=str(number),
            prompt=cast(str, prompt) if is_text else None,
            prompt_token_ids=ids,
            outputs=[
                CompletionOutput(
                    index=answer.index,
                    text=answer.text,
                    token_ids=answer.token_ids,
                    finish_reason=answer.finish_reason,
                    stop_reason=answer.finish.stop_string,
                )
                for answer in answers
            ],
        )


def _prompt(prompt: str | Mapping[str, Any]) -> Prompt:
    if isinstance(prompt, str):
        return prompt
    return cast(Prompt, prompt["prompt_token_ids"] if "prompt_token_ids" in prompt else prompt["prompt"])


__all__ = ["LLM", "CompletionOutput", "RequestOutput", "SamplingParams"]
