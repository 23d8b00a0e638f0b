"""The border to the native module: requests to JSON, events to dataclasses."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from .errors import InvalidRequestError, InvalidValueError, error_of
from .types import CacheReport, Finish, Prompt, Timings, Usage

RawEvent = tuple[int, int | None, str, list[int], str | None]
"""Stream id, prompt tokens in the first event, text, token ids, the finish as JSON in the last one."""


def to_json(body: Mapping[str, Any]) -> str:
    """The text of a request. Raises InvalidRequestError or InvalidValueError where JSON cannot hold it."""
    fields = dict(body)
    fields.update(fields.pop("extra", None) or {})
    try:
        return json.dumps(fields, allow_nan=False, default=_plain)
    except TypeError as error:
        raise InvalidRequestError(f"a field of the request has a type that JSON does not have: {error}") from None
    except ValueError as error:
        name = _not_finite(fields)
        if name is None:
            raise InvalidRequestError(f"the request cannot be written as JSON: {error}") from None
        raise InvalidValueError(f"{name} must be a finite number", param=name) from None


def _plain(value: Any) -> Any:
    """Arrays and scalars of numpy, and of whatever else can turn itself into plain Python."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{type(value).__name__} is not JSON serializable")
    return list(value)


def _not_finite(value: Any, path: str = "") -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return path
    if isinstance(value, Mapping):
        members = [(f"{path}.{key}" if path else str(key), member) for key, member in value.items()]
    elif isinstance(value, (list, tuple)):
        members = [(f"{path}[{index}]", member) for index, member in enumerate(value)]
    else:
        return None
    return next((found for name, member in members if (found := _not_finite(member, name))), None)


def is_one_prompt(prompt: Any) -> bool:
    """Whether it is a text or the ids of one, and not a list of prompts."""
    if isinstance(prompt, str):
        return True
    if getattr(prompt, "ndim", None) is not None:
        return bool(prompt.ndim == 1)
    return len(prompt) > 0 and isinstance(prompt[0], int)


def completion_body(prompt: Prompt, params: Mapping[str, Any]) -> str:
    return to_json({**params, "prompt": prompt})


def to_finish(text: str) -> Finish:
    fields = json.loads(text)
    error = fields["error"]
    return Finish(
        reason=fields["reason"],
        usage=Usage(**fields["usage"]),
        timings=Timings(**fields["timings"]),
        cache=CacheReport(**fields["cache"]),
        stop_string=fields["stop_string"],
        error=error_of(error["code"], error["message"], error["param"], error.get("retry_after_s")) if error else None,
    )
