// Which pages of one group are free, and how many hold each of the others: integers only. It knows
// neither what is in a page nor who holds it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace mlxs {

// Thread safety: none; the engine's thread owns it.
// Invariants: every page is either free, with a count of 0, or held, with a count of at least 1.
class PagePool {
 public:
  // REQUIRES: num_pages >= 0.
  explicit PagePool(int num_pages);

  // RETURNS: a page with a count of 1, or nothing where none is free.
  [[nodiscard]] std::optional<std::int32_t> allocate();

  // One more holder. ERRORS: std::logic_error where the page is free or unknown.
  void retain(std::int32_t page);

  // One holder less. RETURNS: the holders that are left; at 0 the page is free.
  // ERRORS: std::logic_error where the page is free or unknown.
  int release(std::int32_t page);

  // RETURNS: the holders; 0 for a free page. ERRORS: std::logic_error where the page is unknown.
  [[nodiscard]] int ref_count(std::int32_t page) const;

  [[nodiscard]] int num_pages() const { return static_cast<int>(counts_.size()); }
  [[nodiscard]] int num_free() const { return static_cast<int>(free_.size()); }

 private:
  [[nodiscard]] std::size_t index_of(std::int32_t page) const;

  std::vector<std::int32_t> free_;  // a stack: the page released last is handed out first, while it
                                    // is in the CPU's caches
  std::vector<std::int32_t> counts_;
};

}  // namespace mlxs
