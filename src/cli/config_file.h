// Configuration files: a YAML mapping of setting names to values, and what documents them.
#pragma once

#include <string>

#include "base/settings.h"

namespace mlxs {

// RETURNS: the values of a file, by setting name; not yet checked for their range.
// ERRORS: io_error for a file that cannot be read; invalid_config, with the file and the line, for
// what is no YAML, no mapping, an unknown or repeated setting, or a value that is no scalar or
// list.
[[nodiscard]] FileSettings read_config_file(const std::string& path);

// RETURNS: the JSON Schema (draft 2020-12) of such files.
[[nodiscard]] std::string config_schema();

// RETURNS: docs/CONFIGURATION.md.
[[nodiscard]] std::string config_document();

}  // namespace mlxs
