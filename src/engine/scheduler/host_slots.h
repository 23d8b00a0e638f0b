// Which slots of host memory are free: one stack of numbers for each page group.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace mlxs {

class HostSlots {
 public:
  // `num_slots` in each of `num_groups` groups.
  HostSlots(std::size_t num_groups, int num_slots) : num_slots_(num_slots), free_(num_groups) {
    for (auto& slots : free_) {
      slots.resize(static_cast<std::size_t>(num_slots));
      std::iota(slots.rbegin(), slots.rend(), 0);
    }
  }

  [[nodiscard]] int num_free(std::size_t group) const {
    return static_cast<int>(free_.at(group).size());
  }
  [[nodiscard]] int num_used() const {
    int used = 0;
    for (const auto& slots : free_) used += num_slots_ - static_cast<int>(slots.size());
    return used;
  }

  // REQUIRES: num_free(group) > 0.
  [[nodiscard]] std::int32_t take(std::size_t group) {
    const std::int32_t slot = free_.at(group).back();
    free_.at(group).pop_back();
    return slot;
  }
  void give_back(std::size_t group, std::int32_t slot) { free_.at(group).push_back(slot); }

 private:
  int num_slots_;
  std::vector<std::vector<std::int32_t>> free_;  // the lowest number last
};

}  // namespace mlxs
