// A list of Prometheus' families under construction. Private to the exposition.
#pragma once

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/metric_type.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "telemetry/histogram.h"
#include "telemetry/quantile_sketch.h"

namespace mlxs {

using Labels = std::vector<prometheus::ClientMetric::Label>;

struct FamilyName {
  std::string name;
  std::string help;
};

// What divides a whole number of a histogram or sketch into the family's unit.
inline constexpr double kNanoseconds = 1e9;
inline constexpr double kTokens = 1.0;

class FamilyList {
 public:
  void counter(const FamilyName& family, Labels labels, double value);
  void gauge(const FamilyName& family, Labels labels, double value);
  void histogram(
      const FamilyName& family, Labels labels, const HistogramCounts& counts, double unit
  );
  void summary(const FamilyName& family, Labels labels, const QuantileSketch& sketch, double unit);

  // RETURNS: the families in the order of their first figure.
  [[nodiscard]] const std::vector<prometheus::MetricFamily>& families() const { return families_; }

 private:
  prometheus::ClientMetric& add(
      const FamilyName& family, prometheus::MetricType type, Labels labels
  );

  std::vector<prometheus::MetricFamily> families_;
  std::map<std::string, std::size_t> places_;
};

}  // namespace mlxs
