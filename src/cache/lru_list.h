// A list of small integers in the order of their last use. Every operation is O(1) and allocates
// nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace mlxs {

// Thread safety: none. Invariant: each of 0 .. capacity - 1 is in the list at most once.
class LruList {
 public:
  // REQUIRES: capacity >= 0.
  explicit LruList(int capacity) : links_(static_cast<std::size_t>(capacity) + 1) {
    links_.back() = {.older = capacity, .newer = capacity};
  }

  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] bool contains(std::int32_t item) const { return at(item).older >= 0; }

  // RETURNS: the item used least recently. ERRORS: std::logic_error where the list is empty.
  [[nodiscard]] std::int32_t oldest() const {
    if (size_ == 0) throw std::logic_error("LruList::oldest: the list is empty");
    return links_.back().newer;
  }

  // RETURNS: the item used next after `item`, or a number below 0 after the newest.
  [[nodiscard]] std::int32_t next_newer(std::int32_t item) const {
    return at(item).newer == end() ? -1 : at(item).newer;
  }

  // Puts `item` in as the one used last. ERRORS: std::logic_error where it is in the list.
  void push_newest(std::int32_t item) {
    if (contains(item)) throw std::logic_error("LruList::push_newest: the item is in the list");
    const std::int32_t newest = links_.back().older;
    at(item) = {.older = newest, .newer = end()};
    at(newest).newer = item;
    links_.back().older = item;
    ++size_;
  }

  // ERRORS: std::logic_error where `item` is not in the list.
  void remove(std::int32_t item) {
    if (!contains(item)) throw std::logic_error("LruList::remove: the item is not in the list");
    const Link link = at(item);
    at(link.older).newer = link.newer;
    at(link.newer).older = link.older;
    at(item) = {};
    --size_;
  }

 private:
  struct Link {
    std::int32_t older = -1;
    std::int32_t newer = -1;
  };

  [[nodiscard]] std::int32_t end() const { return static_cast<std::int32_t>(links_.size() - 1); }
  [[nodiscard]] Link& at(std::int32_t item) { return links_.at(static_cast<std::size_t>(item)); }
  [[nodiscard]] const Link& at(std::int32_t item) const {
    return links_.at(static_cast<std::size_t>(item));
  }

  std::vector<Link> links_;  // the last one closes the ring: its `newer` is the oldest item
  int size_ = 0;
};

}  // namespace mlxs
