"""One exception class for each error code of the engine; codes and messages are those of the HTTP API."""

from __future__ import annotations


class MlxServingError(Exception):
    """Whatever the engine refuses or fails at. `code` is the word that the HTTP API has in `error.code`."""

    code: str = "engine_error"

    def __init__(self, message: str, *, param: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param  # the field that is wrong, as "messages[0].content"
        self.retry_after = retry_after  # seconds after which to try again, where that is known


class InvalidRequestError(MlxServingError, ValueError):
    """A request lacks a field or has one of the wrong type."""

    code = "invalid_request"


class InvalidValueError(MlxServingError, ValueError):
    """A field is of the right type but out of range or unknown."""

    code = "invalid_value"


class UnsupportedError(MlxServingError, NotImplementedError):
    """A known feature that this engine does not have."""

    code = "unsupported"


class ContextLengthExceededError(MlxServingError, ValueError):
    """Prompt and `max_tokens` do not fit into the model's context."""

    code = "context_length_exceeded"


class TemplateError(MlxServingError, ValueError):
    """The chat template raised."""

    code = "template_error"


class ModelNotFoundError(MlxServingError, FileNotFoundError):
    """There is no model of that name."""

    code = "model_not_found"

    def __str__(self) -> str:
        return self.message


class RateLimitExceededError(MlxServingError):
    """The queue is full; try again later."""

    code = "rate_limit_exceeded"


class OverloadedError(MlxServingError):
    """The request cannot be taken now."""

    code = "server_is_overloaded"


class ShuttingDownError(MlxServingError):
    """The engine is closed, or drains."""

    code = "shutting_down"


class CancelledError(MlxServingError):
    """The caller cancelled."""

    code = "cancelled"


class DeadlineExceededError(MlxServingError, TimeoutError):
    """The request's own deadline passed."""

    code = "deadline_exceeded"

    def __str__(self) -> str:
        return self.message


class EngineError(MlxServingError, RuntimeError):
    """A fault of the engine or of the device."""

    code = "engine_error"


class NumericalError(MlxServingError, ArithmeticError):
    """NaN or infinity in the logits of this request."""

    code = "numerical_error"


class InvalidModelError(MlxServingError, ValueError):
    """A model's file is missing, cut short, corrupted or inconsistent."""

    code = "invalid_model"


class UnsupportedModelError(MlxServingError, NotImplementedError):
    """A sound model of a family or format that is not implemented."""

    code = "unsupported_model"


class InvalidConfigError(MlxServingError, ValueError):
    """An option, environment variable or configuration file is wrong."""

    code = "invalid_config"


class IoError(MlxServingError, OSError):
    """The operating system refused: port in use, read-only folder."""

    code = "io_error"

    def __str__(self) -> str:
        return self.message


ERROR_CLASSES: dict[str, type[MlxServingError]] = {
    error_class.code: error_class
    for error_class in (
        InvalidRequestError,
        InvalidValueError,
        UnsupportedError,
        ContextLengthExceededError,
        TemplateError,
        ModelNotFoundError,
        RateLimitExceededError,
        OverloadedError,
        ShuttingDownError,
        CancelledError,
        DeadlineExceededError,
        EngineError,
        NumericalError,
        InvalidModelError,
        UnsupportedModelError,
        InvalidConfigError,
        IoError,
    )
}


def error_of(code: str, message: str, param: str | None = None, retry_after: float | None = None) -> MlxServingError:
    """The exception for an error's code."""
    return ERROR_CLASSES.get(code, MlxServingError)(message, param=param, retry_after=retry_after)
