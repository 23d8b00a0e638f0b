// Faults from error codes.
#include "server/http/message.h"

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "mlx_serving/error.h"

namespace mlxs {

HttpFault client_fault(int status, std::string message, std::string_view code) {
  HttpFault fault;
  fault.status = status;
  fault.type = error_code_info(ErrorCode::invalid_request).type;
  fault.code = code;
  fault.message = std::move(message);
  return fault;
}

HttpFault fault_of(const Error& error) {
  const ErrorCodeInfo& info = error_code_info(error.code());
  HttpFault fault;
  fault.status = info.http_status;
  fault.type = info.type;
  // OpenAI has no code for a malformed request; its clients expect null.
  if (error.code() != ErrorCode::invalid_request) fault.code = info.name;
  fault.message = error.what();
  fault.param = error.param();
  const bool can_retry = info.http_status == 429 || info.http_status == 503;
  if (can_retry) {
    const auto usual = std::chrono::seconds(info.http_status == 429 ? 1 : 5);
    const auto wait = error.retry_after().value_or(usual);
    fault.headers.push_back({"Retry-After", std::to_string(wait.count())});
  }
  return fault;
}

}  // namespace mlxs
