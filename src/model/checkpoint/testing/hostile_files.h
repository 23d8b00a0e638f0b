// What the tests of untrusted files share: mutations, and the bounds on time and memory of one
// case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <span>
#include <string>

#include "model/checkpoint/tensor_info.h"

namespace mlxs::testing {

enum class Outcome { accepted, refused };

// Runs `load` and asserts (by GoogleTest) that it returns or throws invalid_model or
// unsupported_model with a message that names a file, within a second of processor time.
// `description` is printed on failure.
Outcome expect_sound(const std::string& description, const std::function<void()>& load);

// RETURNS: `bytes` with one to four random changes: a bit, a byte, a run, an interesting 64-bit
// number, a cut or an insertion.
[[nodiscard]] std::string mutate(std::string bytes, std::mt19937& rng);

// Asserts that every tensor lies in the file and that no two overlap.
void expect_placed(std::span<const TensorInfo> tensors, std::uint64_t file_bytes);

// RETURNS: the peak of resident memory so far in bytes; 0 where a sanitizer makes it meaningless.
[[nodiscard]] std::uint64_t peak_memory_bytes();

[[nodiscard]] inline std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

}  // namespace mlxs::testing
