// JSON files of a checkpoint (config.json and its neighbours): strict parsing and typed fields,
// with errors that name the file and the field. Which fields exist is the caller's knowledge.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace mlxs {

struct JsonFileLimits {
  std::uint64_t max_bytes = std::uint64_t{16} << 20;
  std::size_t max_depth = 32;
  // Of members and elements together; bounds the memory of the parsed form, which is a multiple of
  // the text's.
  std::size_t max_values = std::size_t{1} << 20;
};

// ERRORS: invalid_model naming `where` when `text` is not one sound JSON object within the limits.
[[nodiscard]] json::object parse_json_object(
    std::string_view text, std::string_view where, const JsonFileLimits& limits = {}
);

// Reads and parses a file. ERRORS: as parse_json_object and read_text_file.
[[nodiscard]] json::object read_json_object(
    const std::filesystem::path& path, const JsonFileLimits& limits = {}
);

// Fields that may be absent or null. ERRORS: invalid_model naming `where` and the key for a wrong
// type or range.
[[nodiscard]] std::optional<std::int64_t> file_integer(
    const json::object& object, std::string_view key, std::string_view where
);
[[nodiscard]] std::optional<double> file_number(
    const json::object& object, std::string_view key, std::string_view where
);
[[nodiscard]] std::optional<bool> file_boolean(
    const json::object& object, std::string_view key, std::string_view where
);
[[nodiscard]] std::optional<std::string> file_string(
    const json::object& object, std::string_view key, std::string_view where
);

// RETURNS: the member, or nullptr when it is absent or null.
[[nodiscard]] const json::value* file_member(const json::object& object, std::string_view key);

}  // namespace mlxs
