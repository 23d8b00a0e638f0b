// A 128-bit name for "this salt and all these tokens up to the end of a page". A name only: whoever
// finds something under it compares the tokens before trusting it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace mlxs {

struct PageKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  auto operator<=>(const PageKey&) const = default;
};

// RETURNS: the key that a sequence's first page follows.
[[nodiscard]] PageKey root_page_key(std::uint64_t salt);

// RETURNS: the key of the page that holds `page_tokens` and follows the page of `parent`. The same
// on every machine of one byte order.
[[nodiscard]] PageKey next_page_key(
    const PageKey& parent, std::span<const std::int32_t> page_tokens
);

// RETURNS: the keys of all full pages of `tokens`, in their order. REQUIRES: page_size >= 1.
[[nodiscard]] std::vector<PageKey> page_keys(
    std::span<const std::int32_t> tokens, std::uint64_t salt, int page_size
);

// RETURNS: the salt that a request's `cache_salt` stands for; 0, no salt, for the empty text only.
[[nodiscard]] std::uint64_t salt_of(std::string_view cache_salt);

}  // namespace mlxs
