// Faults from error codes.
#include "server/http/message.h"

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
  if (info.http_status == 429) fault.headers.push_back({"Retry-After", "1"});
  if (info.http_status == 503) fault.headers.push_back({"Retry-After", "5"});
  return fault;
}

}  // namespace mlxs
