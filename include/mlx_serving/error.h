// The one error type of the project and the one table of its codes. Every door (HTTP, Python, Node,
// command line) derives its own form from this table; no other file maps codes.
#pragma once

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace mlxs {

enum class ErrorCode {
  invalid_request,          // the request is not JSON, lacks a field or has one of the wrong type
  invalid_value,            // a field has the right type but a value out of range or unknown
  unsupported,              // a known feature that this build does not have; never silently ignored
  context_length_exceeded,  // prompt + max_tokens do not fit in the model's context
  template_error,           // the chat template raised, or ran over its limits
  model_not_found,          // no model of that name is served
  rate_limit_exceeded,      // the queue is full; retry later
  overloaded,         // the request cannot be taken now: loading, or it needs more KV than exists
  shutting_down,      // the engine drains
  cancelled,          // the caller cancelled
  deadline_exceeded,  // the request's own deadline passed
  engine_error,       // a fault of ours or of the device
  numerical_error,    // NaN or infinity in the logits of this request
  invalid_model,      // a model file is missing, truncated, corrupted or inconsistent
  unsupported_model,  // a sound model file of a family or format that is not implemented
  invalid_config,     // an option, environment variable or configuration file is wrong
  io_error,           // the operating system refused: port in use, read-only folder
};

struct ErrorCodeInfo {
  std::string_view name;  // the word used in JSON `code` and in the bindings
  int http_status;
  std::string_view type;  // OpenAI's `type`
};

// RETURNS: the row of the table for `code`.
[[nodiscard]] const ErrorCodeInfo& error_code_info(ErrorCode code);

// An error with its code and, for a request, the path of the offending field
// ("messages[0].content"). Message form: what was wrong, what was got, what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Error(ErrorCode code, const std::string& message, std::string param)
      : std::runtime_error(message), code_(code), param_(std::move(param)) {}

  // How long a caller should wait before it tries again, where that is known.
  Error& retry_after(std::chrono::seconds wait) {
    retry_after_ = wait;
    return *this;
  }

  [[nodiscard]] ErrorCode code() const { return code_; }
  [[nodiscard]] std::optional<std::chrono::seconds> retry_after() const { return retry_after_; }
  [[nodiscard]] const std::string& param() const { return param_; }  // empty: no single field

 private:
  ErrorCode code_;
  std::string param_;
  std::optional<std::chrono::seconds> retry_after_;
};

}  // namespace mlxs
