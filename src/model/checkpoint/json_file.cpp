// Strict JSON files: base/json.h does the parsing, this adds the file's name, limits and typed
// fields.
#include "model/checkpoint/json_file.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "mlx_serving/error.h"
#include "model/checkpoint/byte_source.h"
#include "model/checkpoint/file_error.h"

namespace mlxs {
namespace {

// Every value but the first of its container follows a comma, and every container opens with a
// bracket. Those inside strings are counted too, which only makes the limit stricter.
std::size_t count_values_at_most(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return c == ',' || c == '[' || c == '{';
  }));
}

Error wrong_type(std::string_view where, std::string_view key, std::string_view needed) {
  return invalid_model(
      where, "field {} has the wrong type or range, it must be {}", quote_for_message(key), needed
  );
}

}  // namespace

json::object parse_json_object(
    std::string_view text, std::string_view where, const JsonFileLimits& limits
) {
  if (text.size() > limits.max_bytes) {
    throw invalid_model(where, "{} bytes of JSON, the limit is {}", text.size(), limits.max_bytes);
  }
  if (const std::size_t num_values = count_values_at_most(text); num_values > limits.max_values) {
    throw invalid_model(
        where, "the JSON holds {} values, the limit is {}", num_values, limits.max_values
    );
  }
  try {
    json::value value =
        parse_json(text, {.max_depth = limits.max_depth, .max_bytes = limits.max_bytes});
    if (!value.is_object()) throw invalid_model(where, "the JSON must be an object");
    return std::move(value.as_object());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_request) throw;
    throw invalid_model(where, "{}", error.what());
  }
}

json::object read_json_object(const std::filesystem::path& path, const JsonFileLimits& limits) {
  return parse_json_object(read_text_file(path, limits.max_bytes), path.string(), limits);
}

const json::value* file_member(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(json::string_view(key.data(), key.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::optional<std::int64_t> file_integer(
    const json::object& object, std::string_view key, std::string_view where
) {
  const json::value* value = file_member(object, key);
  if (value == nullptr) return std::nullopt;
  if (const std::int64_t* number = value->if_int64()) return *number;
  throw wrong_type(where, key, "a 64-bit integer");
}

std::optional<double> file_number(
    const json::object& object, std::string_view key, std::string_view where
) {
  const json::value* value = file_member(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) throw wrong_type(where, key, "a number");
  return value->to_number<double>();
}

std::optional<bool> file_boolean(
    const json::object& object, std::string_view key, std::string_view where
) {
  const json::value* value = file_member(object, key);
  if (value == nullptr) return std::nullopt;
  if (const bool* flag = value->if_bool()) return *flag;
  throw wrong_type(where, key, "true or false");
}

std::optional<std::string> file_string(
    const json::object& object, std::string_view key, std::string_view where
) {
  const json::value* value = file_member(object, key);
  if (value == nullptr) return std::nullopt;
  if (const json::string* text = value->if_string()) return std::string(text->data(), text->size());
  throw wrong_type(where, key, "a string");
}

}  // namespace mlxs
