// One table from the library's statuses to the project's error codes.
#include "text/rust_border.h"

#include <mlxs_text_ffi.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

ErrorCode to_error_code(MlxsStatus status) {
  switch (status) {
    case MlxsStatus_InvalidArgument:
      return ErrorCode::invalid_request;
    case MlxsStatus_InvalidModel:
      return ErrorCode::invalid_model;
    case MlxsStatus_Unsupported:
      return ErrorCode::unsupported_model;
    case MlxsStatus_TemplateRaised:
    case MlxsStatus_TemplateFailed:
    case MlxsStatus_LimitExceeded:
      return ErrorCode::template_error;
    case MlxsStatus_Ok:
    case MlxsStatus_Internal:
      break;
  }
  return ErrorCode::engine_error;
}

}  // namespace

MlxsSlice to_slice(std::string_view text) {
  return {.data = reinterpret_cast<const std::uint8_t*>(text.data()), .len = text.size()};
}

std::string_view to_view(const MlxsSlice& slice) {
  return slice.len == 0 ? std::string_view()
                        : std::string_view(reinterpret_cast<const char*>(slice.data), slice.len);
}

std::string_view RustBuffer::view() const {
  return to_view({.data = buffer_.data, .len = buffer_.len});
}

void check_status(MlxsStatus status, const RustBuffer& message) {
  if (status != MlxsStatus_Ok) throw Error(to_error_code(status), std::string(message.view()));
}

}  // namespace mlxs
