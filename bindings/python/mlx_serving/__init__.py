"""An engine for language models on MLX, in your own process.

    from mlx_serving import Engine

    with Engine() as engine:
        print(engine.chat([{"role": "user", "content": "What is the capital of France?"}]).text)

`mlx_serving.mlx_lm` and `mlx_serving.vllm` have the names of those packages on this engine.
"""

from __future__ import annotations

import importlib.metadata

from . import _mlx

_mlx.prepare()

from .engine import Engine, HttpServer  # noqa: E402
from .errors import (  # noqa: E402
    ERROR_CLASSES,
    CancelledError,
    ContextLengthExceededError,
    DeadlineExceededError,
    EngineError,
    InvalidConfigError,
    InvalidModelError,
    InvalidRequestError,
    InvalidValueError,
    IoError,
    MlxServingError,
    ModelNotFoundError,
    NumericalError,
    OverloadedError,
    RateLimitExceededError,
    ShuttingDownError,
    TemplateError,
    UnsupportedError,
    UnsupportedModelError,
)
from .streams import AsyncStream, Stream  # noqa: E402
from .types import (  # noqa: E402
    CacheReport,
    Completion,
    Delta,
    Finish,
    FinishReason,
    Health,
    Message,
    ModelInfo,
    Prompt,
    RequestParams,
    Stats,
    Timings,
    Usage,
)

__version__ = importlib.metadata.version("mlx-serving")

__all__ = [
    "ERROR_CLASSES",
    "AsyncStream",
    "CacheReport",
    "CancelledError",
    "Completion",
    "ContextLengthExceededError",
    "DeadlineExceededError",
    "Delta",
    "Engine",
    "EngineError",
    "Finish",
    "FinishReason",
    "Health",
    "HttpServer",
    "InvalidConfigError",
    "InvalidModelError",
    "InvalidRequestError",
    "InvalidValueError",
    "IoError",
    "Message",
    "MlxServingError",
    "ModelInfo",
    "ModelNotFoundError",
    "NumericalError",
    "OverloadedError",
    "Prompt",
    "RateLimitExceededError",
    "RequestParams",
    "ShuttingDownError",
    "Stats",
    "Stream",
    "TemplateError",
    "Timings",
    "UnsupportedError",
    "UnsupportedModelError",
    "Usage",
    "__version__",
]
