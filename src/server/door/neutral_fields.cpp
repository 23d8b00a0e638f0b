// Numbers are compared exactly: a neutral value is written, not computed.
#include "server/door/neutral_fields.h"

#include <spdlog/fmt/fmt.h>

#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

constexpr double kHuge = 1e15;

bool is_empty(const json::value& value) {
  if (const auto* text = value.if_string()) return text->empty();
  if (const auto* array = value.if_array()) return array->empty();
  if (const auto* object = value.if_object()) return object->empty();
  return value.is_bool() && !value.get_bool();
}

}  // namespace

void throw_unsupported(const std::string& path) {
  throw Error(
      ErrorCode::unsupported,
      fmt::format("{} is not supported by this server; leave it out", path),
      path
  );
}

void check_neutral_numbers(FieldReader& fields, std::span<const NeutralNumber> numbers) {
  for (const NeutralNumber& number : numbers) {
    const NumberRule rule{number.name, -kHuge, kHuge};
    const auto value = fields.number(rule);
    if (value && *value != static_cast<float>(number.value))
      throw_unsupported(fields.path_of(number.name));
  }
}

void check_neutral_switches(FieldReader& fields, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    if (fields.boolean(name).value_or(false)) throw_unsupported(fields.path_of(name));
  }
}

void check_empty(FieldReader& fields, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    const json::value* value = fields.any(name);
    if (value != nullptr && !is_empty(*value)) throw_unsupported(fields.path_of(name));
  }
}

}  // namespace mlxs
