// Quantiles of a stream of values with a bounded relative error and without keeping them: DDSketch
// (Masson, Rim, Lee: "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
// Guarantees", PVLDB 12(12), 2019), with all bins in place from the start.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace mlxs {

// A bin holds the values in (gamma^(i-1), gamma^i] with gamma = (1 + a) / (1 - a); the value
// 2 gamma^i / (gamma + 1) is at most the share a away from each of them. So a quantile, which is
// the bin where the cumulative count reaches its rank, is at most a away from the exact one.
//
// Thread safety: all members from any thread, as Histogram.
class QuantileSketch {
 public:
  static constexpr double kRelativeError = 0.005;
  static constexpr std::uint64_t kMaxValue = 100'000'000'000'000;  // larger ones count as this

  QuantileSketch();

  void observe(std::uint64_t value);

  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] std::uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }

  // RETURNS: the value of rank floor(q (count - 1)), counted from 0, for each q of `quantiles`; NaN
  // where nothing was observed. REQUIRES: they ascend in [0, 1].
  [[nodiscard]] std::vector<double> quantiles(std::span<const double> quantiles) const;

 private:
  const std::unique_ptr<std::atomic<std::uint64_t>[]> bins_;
  std::atomic<std::uint64_t> sum_{0};
};

}  // namespace mlxs
