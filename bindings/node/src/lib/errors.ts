// One class for each error code of the engine; codes and messages are those of the HTTP API.

/** Whatever the engine refuses or fails at. */
export class MlxServingError extends Error {
  /** The word that the HTTP API has in `error.code`. */
  readonly code: string;
  /** The field that is wrong, as "messages[0].content". */
  readonly param: string | undefined;
  /** Seconds after which to try again, where that is known. */
  readonly retryAfter: number | undefined;

  constructor(code: string, message: string, details: { param?: string | undefined; retryAfter?: number | undefined } = {}) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.param = details.param;
    this.retryAfter = details.retryAfter;
  }
}

export class InvalidRequestError extends MlxServingError {}
export class InvalidValueError extends MlxServingError {}
export class UnsupportedError extends MlxServingError {}
export class ContextLengthExceededError extends MlxServingError {}
export class TemplateError extends MlxServingError {}
export class ModelNotFoundError extends MlxServingError {}
export class RateLimitExceededError extends MlxServingError {}
export class OverloadedError extends MlxServingError {}
export class ShuttingDownError extends MlxServingError {}
export class CancelledError extends MlxServingError {}
export class DeadlineExceededError extends MlxServingError {}
export class EngineError extends MlxServingError {}
export class NumericalError extends MlxServingError {}
export class InvalidModelError extends MlxServingError {}
export class UnsupportedModelError extends MlxServingError {}
export class InvalidConfigError extends MlxServingError {}
export class IoError extends MlxServingError {}

/** The class for each code. */
export const errorClasses: Readonly<Record<string, typeof MlxServingError>> = {
  invalid_request: InvalidRequestError,
  invalid_value: InvalidValueError,
  unsupported: UnsupportedError,
  context_length_exceeded: ContextLengthExceededError,
  template_error: TemplateError,
  model_not_found: ModelNotFoundError,
  rate_limit_exceeded: RateLimitExceededError,
  server_is_overloaded: OverloadedError,
  shutting_down: ShuttingDownError,
  cancelled: CancelledError,
  deadline_exceeded: DeadlineExceededError,
  engine_error: EngineError,
  numerical_error: NumericalError,
  invalid_model: InvalidModelError,
  unsupported_model: UnsupportedModelError,
  invalid_config: InvalidConfigError,
  io_error: IoError,
};

/** The exception for an error's code. */
export function errorOf(code: string, message: string, param?: string | null, retryAfter?: number): MlxServingError {
  const ErrorClass = errorClasses[code] ?? MlxServingError;
  return new ErrorClass(code, message, { param: param ?? undefined, retryAfter });
}

/** What the addon throws carries its code; anything else passes as it is. */
export function fromNative(error: unknown): unknown {
  if (error instanceof MlxServingError || !(error instanceof Error)) return error;
  const { code, param, retryAfter } = error as Error & { code?: unknown; param?: string; retryAfter?: number };
  return typeof code === "string" && code in errorClasses ? errorOf(code, error.message, param, retryAfter) : error;
}
