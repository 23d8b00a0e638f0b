// XXH3-128 of the parent's key and the page's tokens.
#include "cache/page_key.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace mlxs {
namespace {

// Begins every chain, so that a salt of 0 is not an empty input.
constexpr std::uint64_t kRootMark = 0x6d6c'7873'2070'6167U;

PageKey key_of(const XXH128_hash_t& hash) { return {.high = hash.high64, .low = hash.low64}; }

}  // namespace

PageKey root_page_key(std::uint64_t salt) {
  const std::array<std::uint64_t, 2> words = {kRootMark, salt};
  return key_of(XXH3_128bits(words.data(), sizeof(words)));
}

PageKey next_page_key(const PageKey& parent, std::span<const std::int32_t> page_tokens) {
  struct Parent {
    std::array<std::int32_t, 4> words;
  };
  static_assert(sizeof(Parent) == sizeof(PageKey));
  const auto head = std::bit_cast<Parent>(parent);
  std::vector<std::int32_t> words(head.words.size() + page_tokens.size());
  std::ranges::copy(page_tokens, std::ranges::copy(head.words, words.begin()).out);
  return key_of(XXH3_128bits(words.data(), words.size() * sizeof(std::int32_t)));
}

std::vector<PageKey> page_keys(
    std::span<const std::int32_t> tokens, std::uint64_t salt, int page_size
) {
  const auto size = static_cast<std::size_t>(page_size);
  std::vector<PageKey> keys;
  keys.reserve(tokens.size() / size);
  PageKey key = root_page_key(salt);
  for (std::size_t end = size; end <= tokens.size(); end += size) {
    key = next_page_key(key, tokens.subspan(end - size, size));
    keys.push_back(key);
  }
  return keys;
}

std::uint64_t salt_of(std::string_view cache_salt) {
  if (cache_salt.empty()) return 0;
  return std::max<std::uint64_t>(1, XXH3_64bits(cache_salt.data(), cache_salt.size()));
}

}  // namespace mlxs
