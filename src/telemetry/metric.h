// Numbers that many threads add to and others read: one atomic each, no lock, no order between
// them. What they mean is the collector's business.
#pragma once

#include <atomic>
#include <cstdint>

namespace mlxs {

// Only grows. Thread safety: all members from any thread.
class Counter {
 public:
  void add(std::uint64_t amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace mlxs
