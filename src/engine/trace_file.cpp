// A stream with the library's own buffer: the engine's thread waits for the disk seldom.
#include "engine/trace_file.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string_view>
#include <system_error>

#include "base/log.h"
#include "engine/scheduler/json_trace.h"
#include "engine/scheduler/trace.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

// Makes the file with its final mode, or empties the one that is there.
void create(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) {
    throw Error(
        ErrorCode::io_error,
        fmt::format(
            "scheduler_trace: {}: cannot be made: {}",
            path.string(),
            std::generic_category().message(errno)
        )
    );
  }
  ::close(file);
}

}  // namespace

std::unique_ptr<TraceSink> open_trace_file(const std::filesystem::path& path) {
  create(path);
  auto file = std::make_shared<std::ofstream>(path, std::ios::binary | std::ios::app);
  return std::make_unique<JsonTrace>([file, path](std::string_view line) {
    if (!*file) return;
    *file << line << '\n';
    if (!*file) log_error("scheduler_trace: {}: cannot be written any more", path.string());
  });
}

}  // namespace mlxs
