"""What the engine answers, as plain data. Names are those of the HTTP API and of the C++ engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from .errors import MlxServingError

FinishReason = Literal["stop", "length", "cancelled", "error"]
Message = Mapping[str, Any]
"""A message of a conversation: {"role": ..., "content": ...}."""
Prompt = str | Sequence[int]
"""A text, or token ids."""


class RequestParams(TypedDict, total=False):
    """Fields of a request, as in the HTTP API. The engine checks them; what it does not know it refuses by name."""

    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    repetition_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    logit_bias: Mapping[int, float] | Mapping[str, float] | None
    seed: int | None
    stop: str | Sequence[str] | None
    stop_token_ids: Sequence[int] | None
    ignore_eos: bool | None
    priority: int | None
    ttft_deadline_ms: int | None
    deadline_ms: int | None
    cache_prompt: bool | None
    cache_salt: str | None
    logprobs: int | bool | None
    top_logprobs: int | None
    response_format: Mapping[str, Any] | None
    tools: Sequence[Mapping[str, Any]] | None
    tool_choice: str | Mapping[str, Any] | None
    parallel_tool_calls: bool | None
    chat_template_kwargs: Mapping[str, Any] | None
    add_generation_prompt: bool | None
    user: str | None
    extra: Mapping[str, Any]
    """Further fields, for those that this list does not name."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds of one request: waiting, from there to the first token, from there to the last."""

    queue_ms: float = 0.0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class CacheReport:
    """Why fewer of the prompt's tokens were cached than could be."""

    miss: str = "none"
    first_differing_token: int = -1


@dataclass(frozen=True, slots=True)
class Finish:
    """How a stream ended."""

    reason: FinishReason
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    cache: CacheReport = field(default_factory=CacheReport)
    stop_string: str | None = None
    error: MlxServingError | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """What came since the delta before; the last one has `finish`."""

    text: str
    token_ids: list[int]
    finish: Finish | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer."""

    text: str
    token_ids: list[int]
    finish: Finish
    index: int = 0  # among the answers to one prompt

    @property
    def finish_reason(self) -> FinishReason:
        return self.finish.reason

    @property
    def usage(self) -> Usage:
        return self.finish.usage

    @property
    def timings(self) -> Timings:
        return self.finish.timings


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Facts of the loaded model."""

    name: str
    family: str
    quantization: str
    vocab_size: int
    context_length: int
    weight_bytes: int
    kv_bytes_per_token: int
    has_chat_template: bool


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of the engine, as of its last step."""

    num_running: int
    num_waiting: int
    num_pages: int
    num_free_pages: int
    num_cached_pages: int
    num_in_flight_steps: int
    device_idle_share: float
    page_size: int
    max_sequences: int
    num_steps: int
    num_failed_steps: int
    num_preemptions: int
    num_prompt_tokens: int
    num_cached_tokens: int
    num_step_tokens: int
    num_requests_finished: int


@dataclass(frozen=True, slots=True)
class Health:
    """The engine's heartbeat."""

    step: int
    has_pending_work: bool
    since_progress_ms: int
    last_error: str | None
