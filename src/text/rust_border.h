// The C++ side of the border to the Rust library: views as slices, statuses as errors, handles that
// free themselves. Private to text/.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "mlxs_text_ffi.h"

namespace mlxs {

[[nodiscard]] MlxsSlice to_slice(std::string_view text);
[[nodiscard]] std::string_view to_view(const MlxsSlice& slice);

// A buffer of the library's, freed with this object.
class RustBuffer {
 public:
  RustBuffer() = default;
  ~RustBuffer() { mlxs_buffer_free(&buffer_); }
  RustBuffer(const RustBuffer&) = delete;
  RustBuffer& operator=(const RustBuffer&) = delete;

  [[nodiscard]] MlxsBuffer* out() { return &buffer_; }
  [[nodiscard]] std::string_view view() const;

 private:
  MlxsBuffer buffer_{};
};

// A list of ids of the library's, freed with this object.
class RustIds {
 public:
  RustIds() = default;
  ~RustIds() { mlxs_ids_free(&ids_); }
  RustIds(const RustIds&) = delete;
  RustIds& operator=(const RustIds&) = delete;

  [[nodiscard]] MlxsIds* out() { return &ids_; }
  [[nodiscard]] std::span<const std::int32_t> view() const { return {ids_.data, ids_.len}; }

 private:
  MlxsIds ids_{};
};

// ERRORS: throws what `status` stands for, with the library's message, unless it is ok.
void check_status(MlxsStatus status, const RustBuffer& message);

}  // namespace mlxs
