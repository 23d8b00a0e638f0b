// The words are those of llama-server's table of error types.
#include "server/llama_server/error_body.h"

#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "server/http/message.h"
#include "server/openai/error_body.h"

namespace mlxs {
namespace {

json::string_view error_type(const HttpFault& fault) {
  if (fault.code == "context_length_exceeded") return "exceed_context_size_error";
  if (fault.code == "unsupported") return "not_supported_error";
  switch (fault.status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 503:
      return "unavailable_error";
    default:
      return fault.status < 500 ? "invalid_request_error" : "server_error";
  }
}

}  // namespace

std::string render_llama_fault(const HttpFault& fault, std::string_view) {
  json::object error;
  error["code"] = fault.status;
  error["message"] = valid_utf8(fault.message);
  error["type"] = error_type(fault);
  json::object body;
  body["error"] = std::move(error);
  return json::serialize(body);
}

}  // namespace mlxs
