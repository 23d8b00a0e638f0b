// Values of labels have no escapes but of quotes, backslashes and line breaks.
#include "cli/metrics_text.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mlxs {
namespace {

// Reads `{a="x",b="y"}` from its brace on. RETURNS: what follows it.
std::string_view read_labels(std::string_view text, std::map<std::string, std::string>& labels) {
  std::size_t at = 1;
  while (at < text.size() && text[at] != '}') {
    const std::size_t equals = text.find("=\"", at);
    if (equals == std::string_view::npos) return {};
    const std::string name(text.substr(at, equals - at));
    std::string value;
    for (at = equals + 2; at < text.size() && text[at] != '"'; ++at) {
      const bool is_escape = text[at] == '\\' && at + 1 < text.size();
      if (is_escape) ++at;
      value += is_escape && text[at] == 'n' ? '\n' : text[at];
    }
    labels[name] = std::move(value);
    ++at;
    if (at < text.size() && text[at] == ',') ++at;
  }
  return at < text.size() ? text.substr(at + 1) : std::string_view();
}

std::optional<MetricSample> read_sample(std::string_view line) {
  const std::size_t end = line.find_first_of("{ ");
  if (line.empty() || line[0] == '#' || end == std::string_view::npos) return std::nullopt;
  MetricSample sample{.name = std::string(line.substr(0, end)), .labels = {}};
  std::string_view rest = line.substr(end);
  if (rest[0] == '{') rest = read_labels(rest, sample.labels);
  const std::string value(rest);
  char* parsed = nullptr;
  sample.value = std::strtod(value.c_str(), &parsed);
  if (parsed == value.c_str()) return std::nullopt;
  return sample;
}

}  // namespace

MetricsText::MetricsText(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (auto sample = read_sample(text.substr(0, end))) samples_.push_back(std::move(*sample));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

std::optional<double> MetricsText::sum(
    const std::string& name, const std::map<std::string, std::string>& labels
) const {
  std::optional<double> sum;
  for (const MetricSample& sample : samples_) {
    const bool has_labels = std::ranges::all_of(labels, [&sample](const auto& label) {
      const auto found = sample.labels.find(label.first);
      return found != sample.labels.end() && found->second == label.second;
    });
    if (sample.name == name && has_labels) sum = sum.value_or(0.0) + sample.value;
  }
  return sum;
}

std::string MetricsText::label(const std::string& name, const std::string& label) const {
  for (const MetricSample& sample : samples_) {
    const auto found = sample.labels.find(label);
    if (sample.name == name && found != sample.labels.end()) return found->second;
  }
  return {};
}

}  // namespace mlxs
