// The samples of a page of Prometheus' text format.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlxs {

struct MetricSample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0.0;
};

class MetricsText {
 public:
  // Lines that are no samples are passed over.
  explicit MetricsText(std::string_view text);

  // RETURNS: the sum of the samples called `name` that have these labels; nothing where none has.
  [[nodiscard]] std::optional<double> sum(
      const std::string& name, const std::map<std::string, std::string>& labels = {}
  ) const;
  // RETURNS: a label's value of the first sample called `name`; empty where there is none.
  [[nodiscard]] std::string label(const std::string& name, const std::string& label) const;

 private:
  std::vector<MetricSample> samples_;
};

}  // namespace mlxs
