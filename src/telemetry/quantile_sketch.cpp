// Bin 0 is for zero, bin i + 1 for (gamma^(i-1), gamma^i]: 1 lies in the first of these.
#include "telemetry/quantile_sketch.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

namespace mlxs {
namespace {

constexpr double kGamma =
    (1.0 + QuantileSketch::kRelativeError) / (1.0 - QuantileSketch::kRelativeError);
// ln(gamma) and ln(kMaxValue): std::log is not constexpr.
constexpr double kLogGamma = 0.010000083334583179;
constexpr double kLogMax = 32.23619130191664;
constexpr auto kNumBins = static_cast<std::size_t>(kLogMax / kLogGamma) + 3;

std::size_t bin_of(std::uint64_t value) {
  if (value == 0) return 0;
  const double place = std::log(static_cast<double>(value)) / kLogGamma;
  return std::min(static_cast<std::size_t>(std::ceil(place)) + 1, kNumBins - 1);
}

double value_of(std::size_t bin) {
  if (bin == 0) return 0.0;
  return 2.0 * std::exp(kLogGamma * static_cast<double>(bin - 1)) / (kGamma + 1.0);
}

}  // namespace

QuantileSketch::QuantileSketch()
    : bins_(std::make_unique<std::atomic<std::uint64_t>[]>(kNumBins)) {}

void QuantileSketch::observe(std::uint64_t value) {
  bins_[bin_of(value)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::uint64_t QuantileSketch::count() const {
  std::uint64_t count = 0;
  for (std::size_t bin = 0; bin < kNumBins; ++bin)
    count += bins_[bin].load(std::memory_order_relaxed);
  return count;
}

std::vector<double> QuantileSketch::quantiles(std::span<const double> quantiles) const {
  std::vector<std::uint64_t> counts(kNumBins);
  std::uint64_t count = 0;
  for (std::size_t bin = 0; bin < kNumBins; ++bin)
    count += counts[bin] = bins_[bin].load(std::memory_order_relaxed);
  std::vector<double> values;
  std::size_t bin = 0;
  std::uint64_t seen = counts[0];
  for (const double quantile : quantiles) {
    if (count == 0) {
      values.push_back(std::numeric_limits<double>::quiet_NaN());
      continue;
    }
    const auto rank = static_cast<std::uint64_t>(quantile * static_cast<double>(count - 1));
    while (seen <= rank) seen += counts[++bin];
    values.push_back(value_of(bin));
  }
  return values;
}

}  // namespace mlxs
