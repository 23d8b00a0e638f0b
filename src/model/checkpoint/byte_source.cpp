// Files by pread and memory behind ByteSource. It does not know any format.
#include "model/checkpoint/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>

#include "base/checked.h"
#include "mlx_serving/error.h"
#include "model/checkpoint/file_error.h"

namespace mlxs {
namespace {

std::string errno_text(int error) { return std::generic_category().message(error); }

Error past_the_end(const ByteSource& source, std::uint64_t offset, std::size_t num_bytes) {
  return invalid_model(
      source.name(),
      "{} bytes are missing at offset {}, the file ends at {}; it is truncated or corrupted",
      num_bytes,
      offset,
      source.size()
  );
}

void check_range(const ByteSource& source, std::uint64_t offset, std::size_t num_bytes) {
  const auto end = checked_add<std::uint64_t>(offset, num_bytes);
  if (!end || *end > source.size()) throw past_the_end(source, offset, num_bytes);
}

}  // namespace

FileSource::FileSource(const std::filesystem::path& path) : name_(path.string()) {
  // O_NONBLOCK: opening a FIFO returns at once, and the check below refuses it.
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) {
    const int error = errno;
    const bool is_missing = error == ENOENT || error == ENOTDIR || error == ELOOP;
    throw Error(
        is_missing ? ErrorCode::invalid_model : ErrorCode::io_error,
        fmt::format("{}: cannot be opened: {}", name_, errno_text(error))
    );
  }
  struct stat status{};
  const bool is_file = ::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode);
  const auto num_bytes = checked_narrow<std::uint64_t>(status.st_size);
  if (is_file && num_bytes && *num_bytes > 0) {
    size_ = *num_bytes;
    return;
  }
  ::close(fd_);
  throw invalid_model(name_, "{}", is_file ? "the file is empty" : "not a regular file");
}

FileSource::~FileSource() { ::close(fd_); }

void FileSource::read(std::uint64_t offset, std::span<std::byte> out) const {
  check_range(*this, offset, out.size());
  if (!checked_narrow<off_t>(offset + out.size())) throw past_the_end(*this, offset, out.size());
  constexpr std::size_t kMaxRead = std::size_t{1} << 30;  // Linux returns at most 2 GiB a call.
  std::size_t num_read = 0;
  while (num_read < out.size()) {
    const std::size_t num_wanted = std::min(out.size() - num_read, kMaxRead);
    const ssize_t result =
        ::pread(fd_, out.data() + num_read, num_wanted, static_cast<off_t>(offset + num_read));
    if (result < 0 && errno == EINTR) continue;
    if (result < 0) {
      throw Error(
          ErrorCode::io_error,
          fmt::format(
              "{}: reading at offset {} failed: {}", name_, offset + num_read, errno_text(errno)
          )
      );
    }
    if (result == 0) {
      throw invalid_model(
          name_, "ends at offset {}, it has become shorter since it was opened", offset + num_read
      );
    }
    num_read += static_cast<std::size_t>(result);
  }
}

void MemorySource::read(std::uint64_t offset, std::span<std::byte> out) const {
  check_range(*this, offset, out.size());
  if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
}

bool is_present(const std::filesystem::path& path) {
  std::error_code ec;
  const auto type = std::filesystem::symlink_status(path, ec).type();
  return type != std::filesystem::file_type::not_found && type != std::filesystem::file_type::none;
}

std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const FileSource file(path);
  if (file.size() > max_bytes) {
    throw invalid_model(
        file.name(), "{} bytes, the limit for this file is {}", file.size(), max_bytes
    );
  }
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace mlxs
