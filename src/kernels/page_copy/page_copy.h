// Whole pages of the pool: copied within it, and moved to and from the host. All layers of a page
// group go together, as page ids are the group's.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/kv_pages.h"
#include "kernels/mx.h"

namespace mlxs {

struct PagePair {
  std::int32_t from = 0;
  std::int32_t to = 0;
};

// RETURNS: the bytes of one page of a group: for each of its layers keys, values, and the scales
// where they are quantized.
[[nodiscard]] std::int64_t page_bytes(const KvPages& pages, int group);

// Each function has to do with the pool as its last step left it, and the arrays of `pages` that it
// writes are replaced by their successors. On the CPU they are written in place, whatever else
// refers to them: what is still to be read from an older version has to be evaluated before. On a
// GPU they are MLX's own operations, in place only while nothing else refers to the arrays.
// ERRORS: std::out_of_range for a group or a page that is not there, std::invalid_argument for
// bytes that are not a page's.

// Copies pages within the group, as if all were read before the first is written.
// REQUIRES: no page is written twice, or both read and written.
void copy_pages(KvPages& pages, int group, std::span<const PagePair> pairs);

// RETURNS: [page_bytes] uint8: what write_page() takes.
[[nodiscard]] mx::array read_page(const KvPages& pages, int group, std::int32_t page);

// content [page_bytes] uint8, of read_page() of a pool with the same layers and types.
void write_page(KvPages& pages, int group, std::int32_t page, const mx::array& content);

}  // namespace mlxs
