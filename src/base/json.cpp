// The strict handler over Boost.JSON's event parser. It does not know what the JSON is for.
#include "base/json.h"

#include <spdlog/fmt/fmt.h>

#include <boost/json/basic_parser_impl.hpp>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

// Builds the value and remembers the keys of every open object, because Boost.JSON's own parser
// lets the last duplicate win, while others let the first: a file or request must not mean two
// things.
class StrictHandler {
 public:
  // NOLINTBEGIN(readability-identifier-naming): Boost.JSON asks a handler for these names
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);
  // NOLINTEND(readability-identifier-naming)

  json::value release() { return stack_.release(); }
  [[nodiscard]] const std::optional<std::string>& duplicate() const { return duplicate_; }
  [[nodiscard]] bool number_overflowed() const { return number_overflowed_; }

  bool on_document_begin(json::error_code&) {
    stack_.reset();
    return true;
  }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    keys_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t num_members, json::error_code&) {
    keys_.pop_back();
    stack_.push_object(num_members);
    return true;
  }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t num_elements, json::error_code&) {
    stack_.push_array(num_elements);
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    key_.append(part.data(), part.size());
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code& ec) {
    key_.append(part.data(), part.size());
    stack_.push_key(part);
    if (!keys_.back().insert(key_).second) {
      duplicate_ = key_;
      ec = json::error::syntax;
      return false;
    }
    key_.clear();
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, json::error_code&) {
    stack_.push_string(part);
    return true;
  }
  bool on_number_part(json::string_view part, json::error_code&) {
    number_.append(part.data(), part.size());
    return true;
  }
  bool on_int64(std::int64_t number, json::string_view, json::error_code&) {
    number_.clear();
    stack_.push_int64(number);
    return true;
  }
  bool on_uint64(std::uint64_t number, json::string_view, json::error_code&) {
    number_.clear();
    stack_.push_uint64(number);
    return true;
  }
  // Boost.JSON's own conversion may be off by a unit in the last place, so the text is converted
  // again.
  bool on_double(double, json::string_view part, json::error_code& ec) {
    number_.append(part.data(), part.size());
    const double number = std::strtod(number_.c_str(), nullptr);
    number_.clear();
    if (!std::isfinite(number)) {
      number_overflowed_ = true;
      ec = json::error::syntax;
      return false;
    }
    stack_.push_double(number);
    return true;
  }
  bool on_bool(bool flag, json::error_code&) {
    stack_.push_bool(flag);
    return true;
  }
  bool on_null(json::error_code&) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  json::value_stack stack_;
  std::vector<std::unordered_set<std::string>> keys_;  // of the open objects, outermost first
  std::string key_;
  std::optional<std::string> duplicate_;
  std::string number_;
  bool number_overflowed_ = false;
};

std::string describe(const StrictHandler& handler, const json::error_code& ec) {
  if (const auto& duplicate = handler.duplicate())
    return fmt::format("duplicate key {}", json_quote(*duplicate));
  if (handler.number_overflowed()) return "number out of range";
  if (ec == json::error::too_deep) return "nested too deeply";
  return ec.message();
}

}  // namespace

json::value parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    throw Error(
        ErrorCode::invalid_request,
        fmt::format("invalid JSON: {} bytes, the limit is {}", text.size(), limits.max_bytes)
    );
  }
  json::parse_options options;
  options.max_depth = limits.max_depth;
  json::basic_parser<StrictHandler> parser(options);
  json::error_code ec;
  const std::size_t num_parsed = parser.write_some(/*more=*/false, text.data(), text.size(), ec);
  if (!ec && num_parsed < text.size()) ec = json::error::extra_data;
  if (ec) {
    throw Error(
        ErrorCode::invalid_request,
        fmt::format("invalid JSON at byte {}: {}", num_parsed, describe(parser.handler(), ec))
    );
  }
  return parser.handler().release();
}

std::string json_quote(std::string_view text) {
  return json::serialize(json::string_view(text.data(), text.size()));
}

}  // namespace mlxs
