// Strict JSON on Boost.JSON: what it accepts is exactly RFC 8259, without the ambiguities that
// parsers disagree on. Objects keep the order of their members; integers that fit in 64 bits are
// exact.
#pragma once

#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mlxs {

namespace json = boost::json;

struct JsonLimits {
  std::size_t max_depth = 128;                   // nested arrays and objects
  std::size_t max_bytes = std::size_t{1} << 30;  // of the text
};

// RETURNS: the value that `text` holds.
// ERRORS: Error(invalid_request) with the byte offset for a syntax error, invalid UTF-8, a
// duplicate key (named),
//   nesting beyond the limit, trailing text or a number that no double can hold.
// THREADS: any.
[[nodiscard]] json::value parse_json(std::string_view text, const JsonLimits& limits = {});

// RETURNS: `text` as a JSON string, quotes included.
[[nodiscard]] std::string json_quote(std::string_view text);

}  // namespace mlxs
