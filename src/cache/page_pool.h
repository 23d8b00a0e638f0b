// Which pages of the KV pool are free: integers only. It knows neither what is in a page nor who
// holds it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace mlxs {

// Thread safety: none; the engine's thread owns it.
// Invariants: every page is either free or handed out, exactly once.
class PagePool {
 public:
  // REQUIRES: num_pages >= 0.
  explicit PagePool(int num_pages);

  // RETURNS: `count` page ids, or nothing where fewer are free; then none is taken.
  [[nodiscard]] std::optional<std::vector<std::int32_t>> allocate(int count);

  // REQUIRES: every page was handed out by allocate() and not released since.
  void release(std::span<const std::int32_t> pages);

  [[nodiscard]] int num_pages() const { return static_cast<int>(is_used_.size()); }
  [[nodiscard]] int num_free() const { return static_cast<int>(free_.size()); }

 private:
  std::vector<std::int32_t> free_;  // a stack: the page released last is handed out first, while it
                                    // is in the CPU's caches
  std::vector<bool> is_used_;
};

}  // namespace mlxs
