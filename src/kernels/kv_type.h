// How keys and values are stored, as plain data. No MLX.
#pragma once

#include <cstdint>

namespace mlxs {

// int8: whole numbers in [-127, 127] and one float32 scale for each token and kv head, for keys
// and for values.
enum class KvType : std::uint8_t { float32, float16, bfloat16, int8 };

// RETURNS: bytes of the keys, or of the values, of one token and one kv head.
[[nodiscard]] constexpr std::int64_t kv_head_bytes(KvType type, int head_dim) {
  switch (type) {
    case KvType::float32:
      return std::int64_t{4} * head_dim;
    case KvType::float16:
    case KvType::bfloat16:
      return std::int64_t{2} * head_dim;
    case KvType::int8:
      return std::int64_t{4} + head_dim;
  }
  return 0;
}

}  // namespace mlxs
