// How keys and values are stored, as plain data. No MLX.
#pragma once

#include <cstdint>

namespace mlxs {

// int8: whole numbers in [-127, 127] and one float32 scale for each token and kv head, for keys
// and for values.
enum class KvType : std::uint8_t { float32, float16, bfloat16, int8 };

// A layer's keys are an array [P, S, Hkv, D], its values too. The CPU's own layers arrange each
// page as their kernels stream it, kv head by kv head:
//   keys    of each head [D * bytes / 4, S] words of four bytes, each 4 / bytes columns of one
//   token; then
//           [rest, S] the columns that fill no word
//   values  [Hkv, S, D]
//   scales  [Hkv, S]
// Everything else keeps the order of the array.

// RETURNS: bytes of one value.
[[nodiscard]] constexpr int kv_value_bytes(KvType type) {
  if (type == KvType::float32) return 4;
  return type == KvType::int8 ? 1 : 2;
}

// RETURNS: bytes of the keys, or of the values, of one token and one kv head.
[[nodiscard]] constexpr std::int64_t kv_head_bytes(KvType type, int head_dim) {
  const std::int64_t scale_bytes = type == KvType::int8 ? 4 : 0;
  return scale_bytes + std::int64_t{kv_value_bytes(type)} * head_dim;
}

}  // namespace mlxs
