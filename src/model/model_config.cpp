// Typed access to configuration fields; see model_config.h.
#include "model/model_config.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

// RETURNS: the value as a short piece of JSON for a message.
std::string shown(const json::value& value) {
  constexpr std::size_t kMaxShown = 60;
  if (value.is_array()) return fmt::format("an array of {}", value.as_array().size());
  if (value.is_object()) return "an object";
  if (!value.is_string()) return json::serialize(value);
  const std::string_view text(value.as_string().data(), value.as_string().size());
  return json_quote(text.substr(0, kMaxShown));
}

std::optional<double> as_number(const json::value& value) {
  if (value.is_int64()) return static_cast<double>(value.as_int64());
  if (value.is_uint64()) return static_cast<double>(value.as_uint64());
  if (value.is_double()) return value.as_double();
  return std::nullopt;
}

bool lies_in(double value, NumberRange range) {
  return std::isfinite(value) && value >= range.min && value <= range.max;
}

}  // namespace

const json::value* ConfigReader::find(std::string_view key) const {
  const json::value* value = object_->if_contains(json::string_view(key.data(), key.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

const json::value& ConfigReader::at(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr)
    throw invalid(key, "is missing; the file is not a complete model configuration");
  return *value;
}

bool ConfigReader::is_null(std::string_view key) const {
  const json::value* value = object_->if_contains(json::string_view(key.data(), key.size()));
  return value != nullptr && value->is_null();
}

bool ConfigReader::acts(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return false;
  if (value->is_bool()) return value->as_bool();
  if (const auto* object = value->if_object()) return !object->empty();
  if (const auto* array = value->if_array()) return !array->empty();
  if (const auto* text = value->if_string()) return !text->empty();
  return as_number(*value) != 0.0;
}

int ConfigReader::integer(std::string_view key, IntRange range) const {
  const json::value& value = at(key);
  if (!value.is_int64() || value.as_int64() < range.min || value.as_int64() > range.max) {
    throw invalid(
        key,
        fmt::format("must be an integer from {} to {}, got {}", range.min, range.max, shown(value))
    );
  }
  return static_cast<int>(value.as_int64());
}

int ConfigReader::integer_or(std::string_view key, IntRange range, int fallback) const {
  return has(key) ? integer(key, range) : fallback;
}

double ConfigReader::number(std::string_view key, NumberRange range) const {
  const json::value& value = at(key);
  const std::optional<double> number = as_number(value);
  if (!number || !lies_in(*number, range)) {
    throw invalid(
        key,
        fmt::format("must be a number from {} to {}, got {}", range.min, range.max, shown(value))
    );
  }
  return *number;
}

double ConfigReader::number_or(std::string_view key, NumberRange range, double fallback) const {
  return has(key) ? number(key, range) : fallback;
}

std::optional<double> ConfigReader::optional_number(std::string_view key, NumberRange range) const {
  if (!has(key)) return std::nullopt;
  return number(key, range);
}

std::optional<bool> ConfigReader::optional_flag(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool())
    throw invalid(key, fmt::format("must be true or false, got {}", shown(*value)));
  return value->as_bool();
}

std::optional<std::string> ConfigReader::optional_string(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string())
    throw invalid(key, fmt::format("must be a string, got {}", shown(*value)));
  return std::string(value->as_string().data(), value->as_string().size());
}

std::vector<double> ConfigReader::numbers(std::string_view key, NumberRange range) const {
  const json::value& value = at(key);
  if (!value.is_array())
    throw invalid(key, fmt::format("must be an array of numbers, got {}", shown(value)));
  std::vector<double> result;
  result.reserve(value.as_array().size());
  for (const json::value& element : value.as_array()) {
    const std::optional<double> number = as_number(element);
    if (!number || !lies_in(*number, range)) {
      throw invalid(
          key,
          fmt::format(
              "must hold numbers from {} to {}, element {} is {}",
              range.min,
              range.max,
              result.size(),
              shown(element)
          )
      );
    }
    result.push_back(*number);
  }
  return result;
}

std::optional<std::vector<std::string>> ConfigReader::optional_strings(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array())
    throw invalid(key, fmt::format("must be an array of strings, got {}", shown(*value)));
  std::vector<std::string> result;
  result.reserve(value->as_array().size());
  for (const json::value& element : value->as_array()) {
    if (!element.is_string()) {
      throw invalid(
          key, fmt::format("must hold strings, element {} is {}", result.size(), shown(element))
      );
    }
    result.emplace_back(element.as_string().data(), element.as_string().size());
  }
  return result;
}

std::optional<ConfigReader> ConfigReader::optional_object(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object())
    throw invalid(key, fmt::format("must be an object, got {}", shown(*value)));
  return ConfigReader(value->as_object(), fmt::format("{}: {}", where_, key));
}

Error ConfigReader::invalid(std::string_view key, std::string_view problem) const {
  return Error(ErrorCode::invalid_model, fmt::format("{}: {} {}", where_, key, problem));
}

Error ConfigReader::unsupported(std::string_view key, std::string_view problem) const {
  return Error(ErrorCode::unsupported_model, fmt::format("{}: {} {}", where_, key, problem));
}

}  // namespace mlxs
