// The window of SequentialReader: refilled by one read when a small value lies outside, passed by
// for large ones.
#include "model/checkpoint/sequential_reader.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "model/checkpoint/file_error.h"

namespace mlxs {

void SequentialReader::check_left(std::uint64_t num_bytes) const {
  if (num_bytes <= bytes_left()) return;
  throw invalid_model(
      source_.name(),
      "{} bytes are needed at offset {}, but only {} are left; the file is truncated or corrupted",
      num_bytes,
      offset_,
      bytes_left()
  );
}

std::string SequentialReader::text(std::uint64_t num_bytes) {
  check_left(num_bytes);
  std::string result(static_cast<std::size_t>(num_bytes), '\0');
  copy(std::as_writable_bytes(std::span(result)));
  return result;
}

void SequentialReader::skip(std::uint64_t num_bytes) {
  check_left(num_bytes);
  offset_ += num_bytes;
}

void SequentialReader::copy(std::span<std::byte> out) {
  check_left(out.size());
  if (out.empty()) return;
  const bool is_inside = offset_ >= window_start_ && offset_ - window_start_ <= window_.size() &&
                         out.size() <= window_.size() - (offset_ - window_start_);
  if (!is_inside && out.size() >= kWindowBytes) {
    source_.read(offset_, out);
    offset_ += out.size();
    return;
  }
  if (!is_inside) {
    window_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kWindowBytes, bytes_left())));
    source_.read(offset_, window_);
    window_start_ = offset_;
  }
  std::memcpy(out.data(), window_.data() + (offset_ - window_start_), out.size());
  offset_ += out.size();
}

}  // namespace mlxs
