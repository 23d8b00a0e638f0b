// Where the header readers take their bytes from: a file by pread, or memory in tests and fuzzers.
// Nothing is mapped, so a file that shrinks under us is an error and never a bus error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace mlxs {

// THREADS: read() may be called from several threads at once.
class ByteSource {
 public:
  ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  virtual ~ByteSource() = default;

  [[nodiscard]] virtual const std::string& name() const = 0;  // for messages
  [[nodiscard]] virtual std::uint64_t size() const = 0;       // in bytes

  // Fills `out` with the bytes from `offset` on.
  // ERRORS: invalid_model naming the file and the offset when the bytes do not exist; io_error when
  // the system refuses.
  virtual void read(std::uint64_t offset, std::span<std::byte> out) const = 0;
};

// A regular file, held open. Symbolic links are followed, as the Hugging Face cache consists of
// them.
class FileSource final : public ByteSource {
 public:
  // ERRORS: invalid_model when `path` is missing, empty or not a regular file (a FIFO does not
  // block); io_error when it cannot be opened.
  explicit FileSource(const std::filesystem::path& path);
  ~FileSource() override;

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  void read(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  std::string name_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

// Bytes that the caller keeps alive.
class MemorySource final : public ByteSource {
 public:
  MemorySource(std::string name, std::span<const std::byte> bytes)
      : name_(std::move(name)), bytes_(bytes) {}

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  void read(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  std::string name_;
  std::span<const std::byte> bytes_;
};

// RETURNS: whether anything has this name, so that a folder, a FIFO or a broken link in the place
// of a file is an error later and not overlooked.
[[nodiscard]] bool is_present(const std::filesystem::path& path);

// RETURNS: the whole of a small text file.
// ERRORS: as FileSource; invalid_model when it is larger than `max_bytes`.
[[nodiscard]] std::string read_text_file(
    const std::filesystem::path& path, std::uint64_t max_bytes
);

}  // namespace mlxs
