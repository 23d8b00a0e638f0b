// A family is made with its first figure.
#include "telemetry/family_list.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_type.h>

#include <array>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "telemetry/histogram.h"
#include "telemetry/quantile_sketch.h"

namespace mlxs {
namespace {

constexpr std::array kQuantiles = {0.5, 0.9, 0.95, 0.99, 0.999};

}  // namespace

prometheus::ClientMetric& FamilyList::add(
    const FamilyName& family, prometheus::MetricType type, Labels labels
) {
  const auto [place, is_new] = places_.try_emplace(family.name, families_.size());
  if (is_new)
    families_.push_back({.name = family.name, .help = family.help, .type = type, .metric = {}});
  prometheus::ClientMetric& metric = families_[place->second].metric.emplace_back();
  metric.label = std::move(labels);
  return metric;
}

void FamilyList::counter(const FamilyName& family, Labels labels, double value) {
  add(family, prometheus::MetricType::Counter, std::move(labels)).counter.value = value;
}

void FamilyList::gauge(const FamilyName& family, Labels labels, double value) {
  add(family, prometheus::MetricType::Gauge, std::move(labels)).gauge.value = value;
}

void FamilyList::histogram(
    const FamilyName& family, Labels labels, const HistogramCounts& counts, double unit
) {
  auto& histogram = add(family, prometheus::MetricType::Histogram, std::move(labels)).histogram;
  histogram.sample_count = counts.count;
  histogram.sample_sum = static_cast<double>(counts.sum) / unit;
  for (std::size_t i = 0; i < counts.edges.size(); ++i)
    histogram.bucket.push_back(
        {.cumulative_count = counts.at_most[i],
         .upper_bound = static_cast<double>(counts.edges[i]) / unit}
    );
  histogram.bucket.push_back(
      {.cumulative_count = counts.count, .upper_bound = std::numeric_limits<double>::infinity()}
  );
}

void FamilyList::summary(
    const FamilyName& family, Labels labels, const QuantileSketch& sketch, double unit
) {
  auto& summary = add(family, prometheus::MetricType::Summary, std::move(labels)).summary;
  const std::vector<double> values = sketch.quantiles(kQuantiles);
  summary.sample_count = sketch.count();
  summary.sample_sum = static_cast<double>(sketch.sum()) / unit;
  for (std::size_t i = 0; i < kQuantiles.size(); ++i)
    summary.quantile.push_back({.quantile = kQuantiles[i], .value = values[i] / unit});
}

}  // namespace mlxs
