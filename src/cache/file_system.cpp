// POSIX: everything is relative to one open folder and follows no link.
#include "cache/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr mode_t kFolderMode = 0700;
constexpr mode_t kFileMode = 0600;
constexpr mode_t kOthers = 0077;
constexpr std::int64_t kNanoseconds = 1'000'000'000;

[[noreturn]] void fail(const char* operation, const std::string& name, int number = errno) {
  throw std::system_error(number, std::generic_category(), fmt::format("{} {}", operation, name));
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }

  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] bool is_open() const { return number_ >= 0; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

std::int64_t modified_ns(const struct stat& status) {
#ifdef __APPLE__
  const timespec& time = status.st_mtimespec;
#else
  const timespec& time = status.st_mtim;
#endif
  return std::int64_t{time.tv_sec} * kNanoseconds + time.tv_nsec;
}

class Folder final : public FileSystem {
 public:
  explicit Folder(Descriptor folder) : folder_(std::move(folder)) {}

  bool try_lock(const std::string& name) override;
  std::vector<FileEntry> list() override;
  std::vector<std::byte> read(const std::string& name, std::uint64_t max_bytes) override;
  void create(const std::string& name, std::span<const std::byte> contents) override;
  void sync(const std::string& name) override;
  void rename(const std::string& from, const std::string& to) override;
  void remove(const std::string& name) override;
  void touch(const std::string& name) override;

 private:
  [[nodiscard]] Descriptor open(const std::string& name, int flags) const {
    const int all_flags = flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    Descriptor file(::openat(folder_.get(), name.c_str(), all_flags, kFileMode));
    if (!file.is_open()) fail("cannot open", name);
    return file;
  }

  Descriptor folder_;
  Descriptor lock_{-1};
};

bool Folder::try_lock(const std::string& name) {
  Descriptor file = open(name, O_RDWR | O_CREAT);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    fail("cannot lock", name);
  }
  lock_ = std::move(file);
  return true;
}

std::vector<FileEntry> Folder::list() {
  // Its own descriptor: reading a folder moves its position.
  Descriptor copy = open(".", O_RDONLY | O_DIRECTORY);
  const std::unique_ptr<DIR, CloseFolder> folder(::fdopendir(copy.get()));
  if (!folder) fail("cannot list", ".");
  copy.release();
  std::vector<FileEntry> entries;
  errno = 0;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this call's own
  while (const dirent* found = ::readdir(folder.get())) {
    struct stat status{};
    const char* const name = static_cast<const char*>(found->d_name);
    if (::fstatat(folder_.get(), name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(status.st_mode)) {
      entries.push_back(
          {.name = name,
           .num_bytes = static_cast<std::uint64_t>(status.st_size),
           .modified_ns = modified_ns(status)}
      );
    }
    errno = 0;  // what vanished meanwhile is no error
  }
  if (errno != 0) fail("cannot list", ".");
  return entries;
}

std::vector<std::byte> Folder::read(const std::string& name, std::uint64_t max_bytes) {
  const Descriptor file = open(name, O_RDONLY);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) fail("cannot read", name);
  const auto num_bytes = static_cast<std::uint64_t>(status.st_size);
  if (!S_ISREG(status.st_mode) || num_bytes > max_bytes) fail("cannot read", name, EFBIG);
  std::vector<std::byte> contents(num_bytes);
  std::size_t num_read = 0;
  while (num_read < contents.size()) {
    const ssize_t count =
        ::read(file.get(), contents.data() + num_read, contents.size() - num_read);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("cannot read", name);
    if (count == 0) break;  // it became shorter
    num_read += static_cast<std::size_t>(count);
  }
  contents.resize(num_read);
  return contents;
}

void Folder::create(const std::string& name, std::span<const std::byte> contents) {
  const Descriptor file = open(name, O_WRONLY | O_CREAT | O_EXCL);
  while (!contents.empty()) {
    const ssize_t count = ::write(file.get(), contents.data(), contents.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("cannot write", name);
    contents = contents.subspan(static_cast<std::size_t>(count));
  }
}

void Folder::sync(const std::string& name) {
  const Descriptor file = open(name, O_RDONLY);
  if (::fsync(file.get()) != 0) fail("cannot sync", name);
}

void Folder::rename(const std::string& from, const std::string& to) {
  if (::renameat(folder_.get(), from.c_str(), folder_.get(), to.c_str()) != 0) {
    fail("cannot rename", from);
  }
}

void Folder::remove(const std::string& name) {
  if (::unlinkat(folder_.get(), name.c_str(), 0) != 0) fail("cannot remove", name);
}

void Folder::touch(const std::string& name) {
  if (::utimensat(folder_.get(), name.c_str(), nullptr, AT_SYMLINK_NOFOLLOW) != 0) {
    fail("cannot touch", name);
  }
}

}  // namespace

std::unique_ptr<FileSystem> open_folder(const std::filesystem::path& folder) {
  const auto refuse = [&](const std::string& why) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format("the prefix cache folder {} cannot be used: {}", folder.string(), why)
    );
  };
  std::error_code error;
  if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), error);
  if (::mkdir(folder.c_str(), kFolderMode) != 0 && errno != EEXIST) {
    refuse(std::generic_category().message(errno));
  }
  Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.is_open()) refuse(std::generic_category().message(errno));
  struct stat status{};
  if (::fstat(opened.get(), &status) != 0) refuse(std::generic_category().message(errno));
  if (status.st_uid != ::geteuid()) refuse("it belongs to another user");
  if ((status.st_mode & kOthers) != 0) {
    refuse("other users can open it; give it mode 0700, or name a folder that does not exist yet");
  }
  return std::make_unique<Folder>(std::move(opened));
}

}  // namespace mlxs
