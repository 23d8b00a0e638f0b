// Quantiles are nearest ranks of what was measured; nothing is smoothed.
#include "cli/serve_report.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "cli/bench_serve.h"
#include "cli/serve_load.h"

namespace mlxs {
namespace {

json::object spread_json(std::vector<double> values) {
  if (values.empty()) return {{"samples", json::array()}};
  json::object object = {{"samples", json::value_from(values)}};
  std::ranges::sort(values);
  const auto at = [&values](double quantile) {
    return values[static_cast<std::size_t>(quantile * static_cast<double>(values.size() - 1))];
  };
  double sum = 0.0;
  for (const double value : values) sum += value;
  object["mean"] = sum / static_cast<double>(values.size());
  object["p50"] = at(0.5);
  object["p90"] = at(0.9);
  object["p95"] = at(0.95);
  object["p99"] = at(0.99);
  return object;
}

bool keeps_targets(const ServeSample& sample, const BenchServeArguments& arguments) {
  const bool is_soon = arguments.slo_ttft_ms <= 0.0 || sample.ttft_ms <= arguments.slo_ttft_ms;
  const bool is_steady = arguments.slo_itl_ms <= 0.0 || sample.itl_ms <= arguments.slo_itl_ms;
  return sample.is_good && is_soon && is_steady;
}

double figure(const json::object& load, const char* pointer) {
  const json::value value = load;
  boost::system::error_code none;
  const json::value* found = value.find_pointer(pointer, none);
  return found != nullptr && found->is_number() ? found->to_number<double>() : 0.0;
}

}  // namespace

json::object serve_json(const ServeLoadResult& result, const BenchServeArguments& arguments) {
  std::vector<double> ttft;
  std::vector<double> itl;
  std::vector<double> e2e;
  std::int64_t tokens = 0;
  std::int64_t prompt_tokens = 0;
  std::int64_t num_kept = 0;
  json::object faults;
  for (const ServeSample& sample : result.samples) {
    if (!sample.is_good) {
      json::value& count = faults[sample.fault.empty() ? "cut off" : sample.fault];
      count = count.is_int64() ? count.as_int64() + 1 : 1;
      continue;
    }
    ttft.push_back(sample.ttft_ms);
    e2e.push_back(sample.e2e_ms);
    if (sample.tokens > 1) itl.push_back(sample.itl_ms);
    tokens += sample.tokens;
    prompt_tokens += sample.prompt_tokens;
    num_kept += keeps_targets(sample, arguments) ? 1 : 0;
  }
  const auto per_second = [&result](auto count) {
    return static_cast<double>(count) / std::max(result.seconds, 1e-9);
  };
  json::object object = {
      {"requests", result.samples.size()},
      {"good", ttft.size()},
      {"faults", std::move(faults)},
      {"seconds", result.seconds},
      {"requests_per_second", per_second(ttft.size())},
      {"generated_tokens_per_second", per_second(tokens)},
      {"prompt_tokens_per_second", per_second(prompt_tokens)},
      {"goodput_requests_per_second", per_second(num_kept)},
      {"ttft_ms", spread_json(std::move(ttft))},
      {"itl_ms", spread_json(std::move(itl))},
      {"e2e_ms", spread_json(std::move(e2e))}
  };
  if (result.rate > 0.0) {
    object["rate"] = result.rate;
  } else {
    object["concurrency"] = arguments.concurrency;
  }
  return object;
}

std::string serve_table(const std::vector<json::object>& loads) {
  std::string text =
      "| load       |   good | request/s | token/s | TTFT p50 | TTFT p99 | ITL p50 | ITL p99 | "
      "goodput/s |\n"
      "|------------|-------:|----------:|--------:|---------:|---------:|--------:|--------:|"
      "----------:|\n";
  for (const json::object& load : loads) {
    const bool is_open = load.contains("rate");
    text += fmt::format(
        "| {:<10} | {:>6.0f} | {:>9.2f} | {:>7.1f} | {:>8.1f} | {:>8.1f} | {:>7.2f} | {:>7.2f} | "
        "{:>9.2f} |\n",
        is_open ? fmt::format("{:g}/s", figure(load, "/rate"))
                : fmt::format("{:.0f} at once", figure(load, "/concurrency")),
        figure(load, "/good"),
        figure(load, "/requests_per_second"),
        figure(load, "/generated_tokens_per_second"),
        figure(load, "/ttft_ms/p50"),
        figure(load, "/ttft_ms/p99"),
        figure(load, "/itl_ms/p50"),
        figure(load, "/itl_ms/p99"),
        figure(load, "/goodput_requests_per_second")
    );
  }
  return text;
}

std::string serve_plot(const std::vector<json::object>& loads) {
  constexpr double kWidth = 640.0;
  constexpr double kHeight = 360.0;
  constexpr double kMargin = 56.0;
  constexpr std::array<std::pair<const char*, const char*>, 2> kLines = {
      {{"p50", "#2563eb"}, {"p99", "#dc2626"}}
  };
  double max_x = 1e-9;
  double max_y = 1e-9;
  for (const json::object& load : loads) {
    max_x = std::max(max_x, figure(load, "/generated_tokens_per_second"));
    max_y = std::max(max_y, figure(load, "/ttft_ms/p99"));
  }
  std::string svg = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" font-family="sans-serif" font-size="12"><rect width="{0}" height="{1}" fill="white"/>)",
      kWidth,
      kHeight
  );
  const auto x_of = [&](double x) { return kMargin + x / max_x * (kWidth - 2 * kMargin); };
  const auto y_of = [&](double y) {
    return kHeight - kMargin - y / max_y * (kHeight - 2 * kMargin);
  };
  svg += fmt::format(
      R"(<path d="M{0} {0}V{1}H{2}" fill="none" stroke="#888"/><text x="{3}" y="{4}" text-anchor="middle">generated token/s (to {5:.0f})</text><text x="12" y="{6}">TTFT, ms (to {7:.1f})</text>)",
      kMargin,
      kHeight - kMargin,
      kWidth - kMargin,
      kWidth / 2,
      kHeight - 16,
      max_x,
      kMargin - 16,
      max_y
  );
  double legend = kMargin;
  for (const auto& [quantile, colour] : kLines) {
    std::string points;
    for (const json::object& load : loads) {
      const double x = x_of(figure(load, "/generated_tokens_per_second"));
      const double y = y_of(figure(load, fmt::format("/ttft_ms/{}", quantile).c_str()));
      points += fmt::format("{:.1f},{:.1f} ", x, y);
      svg += fmt::format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="4" fill="{}"/>)", x, y, colour);
    }
    svg += fmt::format(
        R"(<polyline points="{0}" fill="none" stroke="{1}" stroke-width="2"/><text x="{2}" y="{3}" fill="{1}">{4}</text>)",
        points,
        colour,
        kWidth - kMargin - 24,
        legend,
        quantile
    );
    legend += 16;
  }
  return svg + "</svg>\n";
}

}  // namespace mlxs
