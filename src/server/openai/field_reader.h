// Typed, checked access to the members of one JSON object of a request. Every member must be asked
// for or refused by name: what nobody knows is an error and never ignored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace mlxs {

enum class LowerBound { inclusive, exclusive };

struct NumberRule {
  std::string_view name;
  double min;
  double max;
  LowerBound lower_bound = LowerBound::inclusive;
};

struct IntegerRule {
  std::string_view name;
  std::int64_t min;
  std::int64_t max;
};

// A member that is absent and one that is null are the same. All members that return a value throw
// Error(invalid_request) for a wrong type and Error(invalid_value) for a value out of range, with
// the path of the field.
class FieldReader {
 public:
  // `path` is the object's own ("" for the body). REQUIRES: `value` outlives the reader.
  FieldReader(const json::value& value, std::string path);

  [[nodiscard]] std::optional<float> number(const NumberRule& rule);
  [[nodiscard]] std::optional<std::int64_t> integer(const IntegerRule& rule);
  [[nodiscard]] std::optional<bool> boolean(std::string_view name);
  [[nodiscard]] std::optional<std::string_view> string(std::string_view name);
  [[nodiscard]] const json::array* array(std::string_view name);    // null: absent
  [[nodiscard]] const json::object* object(std::string_view name);  // null: absent
  [[nodiscard]] const json::value* any(std::string_view name);      // null: absent

  // RETURNS: the member, which must be one of `words`.
  [[nodiscard]] std::optional<std::string_view> word(
      std::string_view name, std::initializer_list<std::string_view> words
  );

  // Accepts a field of the API that changes nothing here, whatever it holds.
  void accept(std::initializer_list<std::string_view> names);

  // ERRORS: unsupported, naming the first of `names` that is there.
  void refuse(std::initializer_list<std::string_view> names);

  // ERRORS: invalid_request, naming the first member that was not asked for.
  void finish() const;

  [[nodiscard]] std::string path_of(std::string_view name) const;

 private:
  const json::object* object_;
  std::string path_;
  std::vector<std::string_view> known_;
};

// RETURNS: `path` with "[index]".
[[nodiscard]] std::string element_path(std::string_view path, std::size_t index);

// The checks of one value that is no member of an object: `path` names it.
[[nodiscard]] std::int64_t checked_integer(
    const json::value& value, const IntegerRule& rule, const std::string& path
);
[[nodiscard]] float checked_number(
    const json::value& value, const NumberRule& rule, const std::string& path
);
[[nodiscard]] std::string_view checked_string(const json::value& value, const std::string& path);

// RETURNS: what a value is, for messages: "a string", "the number 7".
[[nodiscard]] std::string describe_json(const json::value& value);

[[noreturn]] void throw_wrong_type(
    const std::string& path, std::string_view wanted, const json::value& got
);

inline std::string_view to_view(json::string_view text) { return {text.data(), text.size()}; }
inline json::string_view to_json_view(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace mlxs
