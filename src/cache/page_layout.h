// The vocabulary of the paged KV cache: groups of layers, page tables, copies between pages.
// Integers only; what is in a page lies on the device.
#pragma once

#include <cstdint>
#include <vector>

namespace mlxs {

using SequenceId = std::uint64_t;

// An entry of a page table that has no page: no token to come can see what it held.
inline constexpr std::int32_t kNoPage = -1;

// A set of layers with equal attention window. Each group has its own pool of pages with its own
// numbers, 0 .. num_pages - 1.
struct PageGroup {
  int num_pages = 0;
  int window = 0;  // tokens a layer of the group sees, itself included; 0: all before it
};

struct CacheLayout {
  int page_size = 32;                  // tokens of a page
  std::vector<PageGroup> groups = {};  // at least one
};

// groups[g][p] is the page with the keys and values of tokens [p * page_size, (p + 1) * page_size)
// of a sequence for the layers of group g; kNoPage where it lies behind the window.
struct PageTables {
  std::vector<std::vector<std::int32_t>> groups = {};
};

struct PageRef {
  int group = 0;
  std::int32_t page = kNoPage;

  bool operator==(const PageRef&) const = default;
};

// The device copies `from` to `to`, before a step's rows. Copies of one step are done in their
// order: a later one may read what an earlier one wrote, or write what an earlier one read.
struct PageCopy {
  int group = 0;
  std::int32_t from = kNoPage;
  std::int32_t to = kNoPage;

  bool operator==(const PageCopy&) const = default;
};

// RETURNS: the pages that `num_tokens` tokens fill or begin. REQUIRES: num_tokens >= 0,
// page_size >= 1.
[[nodiscard]] constexpr int pages_for(int num_tokens, int page_size) {
  return num_tokens / page_size + (num_tokens % page_size == 0 ? 0 : 1);
}

// RETURNS: the first page that the token at `position`, or any after it, sees.
// REQUIRES: position >= 0.
[[nodiscard]] constexpr int first_visible_page(int position, int window, int page_size) {
  return window == 0 || position < window ? 0 : (position - window + 1) / page_size;
}

}  // namespace mlxs
