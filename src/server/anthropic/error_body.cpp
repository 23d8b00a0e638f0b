// Anthropic has one word a status and no field for a path, so the path is in the message already.
#include "server/anthropic/error_body.h"

#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "server/http/message.h"
#include "server/openai/error_body.h"

namespace mlxs {
namespace {

json::string_view error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
    case 431:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    case 504:
      return "timeout_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}

}  // namespace

std::string render_anthropic_fault(const HttpFault& fault, std::string_view request_id) {
  json::object error;
  error["type"] = error_type(fault.status);
  error["message"] = valid_utf8(fault.message);
  json::object body;
  body["type"] = "error";
  body["error"] = std::move(error);
  body["request_id"] = json::string_view(request_id.data(), request_id.size());
  return json::serialize(body);
}

}  // namespace mlxs
