// A stack of free pages and an array of counts.
#include "cache/page_pool.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace mlxs {
namespace {

[[noreturn]] void fail(const char* function, std::int32_t page) {
  throw std::logic_error(
      std::string("PagePool::") + function + ": page " + std::to_string(page) + " is not held"
  );
}

}  // namespace

PagePool::PagePool(int num_pages) : counts_(static_cast<std::size_t>(num_pages), 0) {
  free_.reserve(counts_.size());
  for (int page = num_pages - 1; page >= 0; --page) free_.push_back(page);
}

std::optional<std::int32_t> PagePool::allocate() {
  if (free_.empty()) return std::nullopt;
  const std::int32_t page = free_.back();
  free_.pop_back();
  counts_[static_cast<std::size_t>(page)] = 1;
  return page;
}

void PagePool::retain(std::int32_t page) {
  std::int32_t& count = counts_[index_of(page)];
  if (count == 0) fail("retain", page);
  ++count;
}

int PagePool::release(std::int32_t page) {
  std::int32_t& count = counts_[index_of(page)];
  if (count == 0) fail("release", page);
  if (--count == 0) free_.push_back(page);
  return count;
}

int PagePool::ref_count(std::int32_t page) const { return counts_[index_of(page)]; }

std::size_t PagePool::index_of(std::int32_t page) const {
  if (page < 0 || page >= num_pages()) fail("ref_count", page);
  return static_cast<std::size_t>(page);
}

}  // namespace mlxs
