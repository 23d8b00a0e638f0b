// Counts of values between fixed edges, as Prometheus has them. Values are whole numbers of a small
// unit (nanoseconds, tokens), so that counts and sums are exact.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace mlxs {

struct HistogramCounts {
  std::vector<std::uint64_t> edges = {};
  std::vector<std::uint64_t> at_most = {};  // values <= edges[i], cumulative
  std::uint64_t count = 0;
  std::uint64_t sum = 0;
};

// Thread safety: all members from any thread; a snapshot taken while others observe is at most
// their newest values apart.
class Histogram {
 public:
  // REQUIRES: `edges` ascend and outlive the histogram.
  explicit Histogram(std::span<const std::uint64_t> edges);

  void observe(std::uint64_t value);

  [[nodiscard]] HistogramCounts snapshot() const;

 private:
  const std::span<const std::uint64_t> edges_;
  const std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;  // [edges + 1]
  std::atomic<std::uint64_t> sum_{0};
};

}  // namespace mlxs
