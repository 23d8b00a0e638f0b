// The limits are those of OpenAI's door.
#include "server/door/stop_strings.h"

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/sampling.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxStops = 16;
constexpr std::size_t kMaxStopBytes = 4096;

void add_stop(const json::value& value, const std::string& path, StopParams& stop) {
  const std::string_view text = checked_string(value, path);
  if (text.empty() || text.size() > kMaxStopBytes) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("{} must have 1 to {} bytes, got {}", path, kMaxStopBytes, text.size()),
        path
    );
  }
  stop.stop.emplace_back(text);
}

}  // namespace

void read_stop_strings(FieldReader& fields, std::string_view name, StopParams& stop) {
  const json::value* value = fields.any(name);
  if (value == nullptr) return;
  const std::string path = fields.path_of(name);
  if (value->is_string()) {
    add_stop(*value, path, stop);
    return;
  }
  if (!value->is_array()) throw_wrong_type(path, "a string or an array of strings", *value);
  const json::array& texts = value->get_array();
  if (texts.size() > kMaxStops) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("{} has {} strings, the limit is {}", path, texts.size(), kMaxStops),
        path
    );
  }
  for (std::size_t i = 0; i < texts.size(); ++i) add_stop(texts[i], element_path(path, i), stop);
}

}  // namespace mlxs
