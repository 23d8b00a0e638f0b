// A value's place is found by bisection; the cumulative form is made when somebody reads.
#include "telemetry/histogram.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace mlxs {

Histogram::Histogram(std::span<const std::uint64_t> edges)
    : edges_(edges), counts_(std::make_unique<std::atomic<std::uint64_t>[]>(edges.size() + 1)) {}

void Histogram::observe(std::uint64_t value) {
  const auto place = std::lower_bound(edges_.begin(), edges_.end(), value) - edges_.begin();
  counts_[static_cast<std::size_t>(place)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

HistogramCounts Histogram::snapshot() const {
  HistogramCounts counts;
  counts.edges.assign(edges_.begin(), edges_.end());
  for (std::size_t i = 0; i < edges_.size(); ++i) {
    counts.count += counts_[i].load(std::memory_order_relaxed);
    counts.at_most.push_back(counts.count);
  }
  counts.count += counts_[edges_.size()].load(std::memory_order_relaxed);
  counts.sum = sum_.load(std::memory_order_relaxed);
  return counts;
}

}  // namespace mlxs
