// A chain of hashes over all bytes.
#include "engine/model_fingerprint.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "cache/page_key.h"
#include "model/checkpoint/tensor_info.h"

namespace mlxs {
namespace {

constexpr std::uint64_t kChunkBytes = std::uint64_t{1} << 22U;

// Bytes are hashed as numbers of four, the last one filled up with zeros.
PageKey add_bytes(const PageKey& key, std::span<const std::byte> bytes) {
  std::vector<std::int32_t> numbers((bytes.size() + 3) / 4 + 1, 0);
  if (!bytes.empty()) std::memcpy(numbers.data(), bytes.data(), bytes.size());
  numbers.back() = static_cast<std::int32_t>(bytes.size());
  return next_page_key(key, numbers);
}

PageKey add_text(const PageKey& key, std::string_view text) {
  return add_bytes(key, std::as_bytes(std::span(text)));
}

PageKey weights_key(const Checkpoint& checkpoint) {
  PageKey key = root_page_key(0);
  std::vector<std::byte> chunk;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    key = add_text(key, tensor.name);
    for (std::uint64_t at = 0; at < tensor.num_bytes; at += kChunkBytes) {
      chunk.resize(static_cast<std::size_t>(std::min(kChunkBytes, tensor.num_bytes - at)));
      checkpoint.read_part(tensor, at, chunk);
      key = add_bytes(key, chunk);
    }
  }
  return key;
}

}  // namespace

ModelFingerprint model_fingerprint(const Checkpoint& checkpoint, std::string_view computation) {
  PageKey described = add_text(root_page_key(0), json::serialize(checkpoint.config()));
  described = add_text(described, computation);
  const PageKey weights = weights_key(checkpoint);
  ModelFingerprint fingerprint{};
  const std::uint64_t parts[] = {described.high, described.low, weights.high, weights.low};
  static_assert(sizeof(parts) == sizeof(fingerprint));
  std::memcpy(fingerprint.data(), parts, sizeof(parts));
  return fingerprint;
}

}  // namespace mlxs
