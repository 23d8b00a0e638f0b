// Little-endian values read one after another from a ByteSource through a small window. Every
// length is checked against the bytes left before anything is allocated.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "model/checkpoint/byte_source.h"

namespace mlxs {

// ERRORS: every member throws invalid_model with file and offset when the bytes do not exist.
class SequentialReader {
 public:
  explicit SequentialReader(const ByteSource& source, std::uint64_t offset = 0)
      : source_(source), offset_(offset) {}

  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] std::uint64_t bytes_left() const { return source_.size() - offset_; }
  [[nodiscard]] const ByteSource& source() const { return source_; }

  template <typename T>
    requires std::is_arithmetic_v<T>
  [[nodiscard]] T value() {
    static_assert(
        std::endian::native == std::endian::little,
        "the formats and every supported machine agree on this"
    );
    std::array<std::byte, sizeof(T)> bytes{};
    copy(bytes);
    return std::bit_cast<T>(bytes);
  }

  // RETURNS: the next `num_bytes` bytes. REQUIRES: nothing; a length beyond the end is an error,
  // not an allocation.
  [[nodiscard]] std::string text(std::uint64_t num_bytes);

  void skip(std::uint64_t num_bytes);

 private:
  static constexpr std::size_t kWindowBytes = std::size_t{64} << 10;

  void copy(std::span<std::byte> out);
  void check_left(std::uint64_t num_bytes) const;

  const ByteSource& source_;
  std::uint64_t offset_;
  std::vector<std::byte> window_;
  std::uint64_t window_start_ = 0;
};

}  // namespace mlxs
