// A stack of free pages.
#include "cache/page_pool.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace mlxs {

PagePool::PagePool(int num_pages) : is_used_(static_cast<std::size_t>(num_pages), false) {
  free_.reserve(is_used_.size());
  for (int page = num_pages - 1; page >= 0; --page) free_.push_back(page);
}

std::optional<std::vector<std::int32_t>> PagePool::allocate(int count) {
  if (count < 0 || count > num_free()) return std::nullopt;
  std::vector<std::int32_t> pages;
  pages.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    pages.push_back(free_.back());
    is_used_[static_cast<std::size_t>(free_.back())] = true;
    free_.pop_back();
  }
  return pages;
}

void PagePool::release(std::span<const std::int32_t> pages) {
  for (const std::int32_t page : pages) {
    const auto index = static_cast<std::size_t>(page);
    if (page < 0 || index >= is_used_.size() || !is_used_[index]) {
      throw std::logic_error("PagePool::release: page " + std::to_string(page) + " is not in use");
    }
    is_used_[index] = false;
    free_.push_back(page);
  }
}

}  // namespace mlxs
