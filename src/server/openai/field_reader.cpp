// Messages name the field, what was got and what is permitted.
#include "server/openai/field_reader.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxNameBytes = 100;  // of a name of the client that a message repeats

std::string range_text(const NumberRule& rule) {
  const char* lower = rule.lower_bound == LowerBound::exclusive ? "more than" : "at least";
  return fmt::format("{} {} and at most {}", lower, rule.min, rule.max);
}

bool is_below(double value, const NumberRule& rule) {
  return rule.lower_bound == LowerBound::exclusive ? value <= rule.min : value < rule.min;
}

std::optional<std::int64_t> exact_int64(const json::value& value) {
  if (value.is_int64()) return value.get_int64();
  return std::nullopt;
}

}  // namespace

std::string describe_json(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return value.get_bool() ? "true" : "false";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_:
      return "the number " + json::serialize(value);
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "something else";
}

void throw_wrong_type(const std::string& path, std::string_view wanted, const json::value& got) {
  if (path.empty())
    throw Error(
        ErrorCode::invalid_request,
        fmt::format("the body must be {}, got {}", wanted, describe_json(got))
    );
  throw Error(
      ErrorCode::invalid_request,
      fmt::format("{} must be {}, got {}", path, wanted, describe_json(got)),
      path
  );
}

std::string element_path(std::string_view path, std::size_t index) {
  return fmt::format("{}[{}]", path, index);
}

std::int64_t checked_integer(
    const json::value& value, const IntegerRule& rule, const std::string& path
) {
  if (!value.is_number() ||
      (value.is_double() && value.get_double() != std::floor(value.get_double()))) {
    throw_wrong_type(path, "an integer", value);
  }
  const std::optional<std::int64_t> integer = exact_int64(value);
  // An integral number in a form with point or exponent is out of the type, not of the range.
  if (!integer && value.is_double() && std::abs(value.get_double()) < 9007199254740992.0)
    throw_wrong_type(path, "an integer", value);
  if (!integer || *integer < rule.min || *integer > rule.max) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format(
            "{} must be at least {} and at most {}, got {}",
            path,
            rule.min,
            rule.max,
            describe_json(value)
        ),
        path
    );
  }
  return *integer;
}

float checked_number(const json::value& value, const NumberRule& rule, const std::string& path) {
  if (!value.is_number()) throw_wrong_type(path, "a number", value);
  const double number = value.to_number<double>();
  const auto rounded = static_cast<float>(number);
  if (is_below(number, rule) || number > rule.max || is_below(static_cast<double>(rounded), rule)) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("{} must be {}, got {}", path, range_text(rule), describe_json(value)),
        path
    );
  }
  return rounded;
}

std::string_view checked_string(const json::value& value, const std::string& path) {
  if (!value.is_string()) throw_wrong_type(path, "a string", value);
  return to_view(value.get_string());
}

FieldReader::FieldReader(const json::value& value, std::string path)
    : object_(value.if_object()), path_(std::move(path)) {
  if (object_ == nullptr) throw_wrong_type(path_, "an object", value);
}

std::string FieldReader::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

const json::value* FieldReader::any(std::string_view name) {
  known_.push_back(name);
  const json::value* value = object_->if_contains(to_json_view(name));
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::optional<float> FieldReader::number(const NumberRule& rule) {
  const json::value* value = any(rule.name);
  if (value == nullptr) return std::nullopt;
  return checked_number(*value, rule, path_of(rule.name));
}

std::optional<std::int64_t> FieldReader::integer(const IntegerRule& rule) {
  const json::value* value = any(rule.name);
  if (value == nullptr) return std::nullopt;
  return checked_integer(*value, rule, path_of(rule.name));
}

std::optional<bool> FieldReader::boolean(std::string_view name) {
  const json::value* value = any(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) throw_wrong_type(path_of(name), "true or false", *value);
  return value->get_bool();
}

std::optional<std::string_view> FieldReader::string(std::string_view name) {
  const json::value* value = any(name);
  if (value == nullptr) return std::nullopt;
  return checked_string(*value, path_of(name));
}

const json::array* FieldReader::array(std::string_view name) {
  const json::value* value = any(name);
  if (value == nullptr) return nullptr;
  if (!value->is_array()) throw_wrong_type(path_of(name), "an array", *value);
  return &value->get_array();
}

const json::object* FieldReader::object(std::string_view name) {
  const json::value* value = any(name);
  if (value == nullptr) return nullptr;
  if (!value->is_object()) throw_wrong_type(path_of(name), "an object", *value);
  return &value->get_object();
}

std::optional<std::string_view> FieldReader::word(
    std::string_view name, std::initializer_list<std::string_view> words
) {
  const std::optional<std::string_view> text = string(name);
  if (!text || std::find(words.begin(), words.end(), *text) != words.end()) return text;
  const std::string path = path_of(name);
  throw Error(
      ErrorCode::invalid_value,
      fmt::format(
          "{} must be one of {}, got {}",
          path,
          fmt::join(words, ", "),
          json_quote(text->substr(0, kMaxNameBytes))
      ),
      path
  );
}

void FieldReader::accept(std::initializer_list<std::string_view> names) {
  known_.insert(known_.end(), names.begin(), names.end());
}

void FieldReader::refuse(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (any(name) == nullptr) continue;
    const std::string path = path_of(name);
    throw Error(
        ErrorCode::unsupported,
        fmt::format("{} is not supported by this server; leave it out", path),
        path
    );
  }
}

void FieldReader::finish() const {
  for (const auto& member : *object_) {
    const std::string_view name = to_view(member.key());
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    const std::string path = path_of(name.substr(0, kMaxNameBytes));
    throw Error(
        ErrorCode::invalid_request,
        fmt::format("Unrecognized request argument supplied: {}", path),
        path
    );
  }
}

}  // namespace mlxs
