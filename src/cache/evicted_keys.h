// A bounded memory of pages that were cached and had to make room, so that a miss can say so. It is
// advice: the oldest entries are forgotten.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_set>
#include <vector>

#include "cache/page_key.h"

namespace mlxs {

// Thread safety: none.
class EvictedKeys {
 public:
  // REQUIRES: capacity >= 1.
  explicit EvictedKeys(std::size_t capacity) : ring_(capacity) {}

  void remember(const PageKey& key) {
    if (!known_.insert(key.low).second) return;
    if (size_ == ring_.size()) {
      known_.erase(ring_[next_]);
    } else {
      ++size_;
    }
    ring_[next_] = key.low;
    next_ = (next_ + 1) % ring_.size();
  }

  [[nodiscard]] bool contains(const PageKey& key) const { return known_.contains(key.low); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::vector<std::uint64_t> ring_;  // the oldest is overwritten first
  std::unordered_set<std::uint64_t> known_;
  std::size_t size_ = 0;
  std::size_t next_ = 0;
};

}  // namespace mlxs
