// Fuzzes the translation of both endpoints' bodies: whatever the bytes, it yields a call or an
// Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mlx_serving/error.h"
#include "server/openai/call.h"

namespace {

const mlxs::ApiModel& api_model() {
  static const mlxs::ApiModel kModel = [] {
    const mlxs::ModelInfo info{.name = "m", .vocab_size = 1000, .context_length = 100};
    return mlxs::make_api_model(info, {"alias"});
  }();
  return kModel;
}

template <typename Parse>
void try_parse(Parse parse, std::string_view body) {
  try {
    const mlxs::Call call = parse(body, api_model());
    if (call.requests.empty() || call.num_choices < 1) __builtin_trap();
  } catch (const mlxs::Error& error) {
    // A request's own mistake must never look like the server's.
    if (mlxs::error_code_info(error.code()).http_status >= 500) __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t num_bytes) {
  const std::string_view body(reinterpret_cast<const char*>(bytes), num_bytes);
  try_parse(mlxs::parse_chat_call, body);
  try_parse(mlxs::parse_completion_call, body);
  return 0;
}
