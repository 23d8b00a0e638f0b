// Typed reading of a model's config.json: every field with its type and range, every complaint with
// file and field. It does not know any family, and unknown fields are not its concern.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"

namespace mlxs {

struct IntRange {
  std::int64_t min = 0;
  std::int64_t max = 0;
};

// Both ends are allowed; the value must be finite.
struct NumberRange {
  double min = 0.0;
  double max = 0.0;
};

// The widest values that any released model comes near to; they keep every product of two of them
// within int64.
inline constexpr IntRange kLayerRange{1, 1024};
inline constexpr IntRange kHeadRange{1, 1024};
inline constexpr IntRange kHeadDimRange{1, 4096};
inline constexpr IntRange kHiddenRange{1, 1 << 17};
inline constexpr IntRange kIntermediateRange{1, 1 << 20};
inline constexpr IntRange kVocabRange{1, 1 << 24};
inline constexpr IntRange kTokensRange{1, 1 << 28};  // contexts and windows
inline constexpr NumberRange kEpsRange{0.0, 1.0};

// One object of a configuration. A field that is null counts as absent, as in Transformers.
// REQUIRES: the object outlives the reader.
// ERRORS: every reading member throws Error(invalid_model) naming file and field for a wrong type
// or range;
//   those without a fallback also for an absent field.
// THREADS: const members from any thread.
class ConfigReader {
 public:
  // `where`: the file, and for a nested object the path to it ("config.json: text_config").
  ConfigReader(const json::object& object, std::string where)
      : object_(&object), where_(std::move(where)) {}

  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
  [[nodiscard]] bool is_null(std::string_view key) const;  // there, and null

  // RETURNS: whether a field is there with a value other than null, false, 0 and an empty container
  // or string.
  [[nodiscard]] bool acts(std::string_view key) const;

  [[nodiscard]] int integer(std::string_view key, IntRange range) const;
  [[nodiscard]] int integer_or(std::string_view key, IntRange range, int fallback) const;
  [[nodiscard]] double number(std::string_view key, NumberRange range) const;
  [[nodiscard]] double number_or(std::string_view key, NumberRange range, double fallback) const;
  [[nodiscard]] std::optional<double> optional_number(std::string_view key, NumberRange range)
      const;
  [[nodiscard]] std::optional<bool> optional_flag(std::string_view key) const;
  [[nodiscard]] std::optional<std::string> optional_string(std::string_view key) const;
  [[nodiscard]] std::vector<double> numbers(std::string_view key, NumberRange range) const;
  [[nodiscard]] std::optional<std::vector<std::string>> optional_strings(std::string_view key
  ) const;
  [[nodiscard]] std::optional<ConfigReader> optional_object(std::string_view key) const;

  [[nodiscard]] const std::string& where() const { return where_; }

  // RETURNS: errors to throw, with file and field in front.
  [[nodiscard]] Error invalid(std::string_view key, std::string_view problem) const;
  [[nodiscard]] Error unsupported(std::string_view key, std::string_view problem) const;

 private:
  [[nodiscard]] const json::value* find(std::string_view key) const;
  [[nodiscard]] const json::value& at(std::string_view key) const;

  const json::object* object_;
  std::string where_;
};

}  // namespace mlxs
