// The file that says how keys share the device.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace mlxs {

// RETURNS: weight by key, from a JSON object as in {"alice": 2, "bob": 0.5}.
// ERRORS: invalid_config naming the file, the key and what is wrong: not readable, not JSON, not an
// object, a weight that is not a number above 0 and at most 1e6.
[[nodiscard]] std::map<std::string, double> read_key_weights(const std::filesystem::path& path);

}  // namespace mlxs
