// The scheduler's decisions in a file.
#pragma once

#include <filesystem>
#include <memory>

#include "engine/scheduler/trace.h"

namespace mlxs {

// RETURNS: a sink that writes JSON lines to a new file, readable by its owner only: prompts are in
// it as token ids. What cannot be written later is said once in the log, and the rest is left out.
// ERRORS: io_error where the file cannot be made.
[[nodiscard]] std::unique_ptr<TraceSink> open_trace_file(const std::filesystem::path& path);

}  // namespace mlxs
