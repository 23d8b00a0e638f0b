// The table of error codes. The order is the enum's.
#include "mlx_serving/error.h"

#include <array>
#include <cstddef>
#include <string_view>

namespace mlxs {
namespace {

constexpr std::string_view kInvalidRequestType = "invalid_request_error";
constexpr std::string_view kRateLimitType = "rate_limit_error";
constexpr std::string_view kServerType = "server_error";
constexpr std::string_view kUnavailableType = "service_unavailable_error";

constexpr std::array<ErrorCodeInfo, 17> kTable = {{
    {"invalid_request", 400, kInvalidRequestType},
    {"invalid_value", 400, kInvalidRequestType},
    {"unsupported", 400, kInvalidRequestType},
    {"context_length_exceeded", 400, kInvalidRequestType},
    {"template_error", 400, kInvalidRequestType},
    {"model_not_found", 404, kInvalidRequestType},
    {"rate_limit_exceeded", 429, kRateLimitType},
    {"server_is_overloaded", 503, kUnavailableType},
    {"shutting_down", 503, kUnavailableType},
    {"cancelled", 499, kInvalidRequestType},
    {"deadline_exceeded", 504, kServerType},
    {"engine_error", 500, kServerType},
    {"numerical_error", 500, kServerType},
    {"invalid_model", 500, kServerType},
    {"unsupported_model", 500, kServerType},
    {"invalid_config", 500, kServerType},
    {"io_error", 500, kServerType},
}};

static_assert(kTable.size() == static_cast<std::size_t>(ErrorCode::io_error) + 1);

}  // namespace

const ErrorCodeInfo& error_code_info(ErrorCode code) {
  return kTable.at(static_cast<std::size_t>(code));
}

}  // namespace mlxs
