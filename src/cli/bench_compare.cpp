// The interval is of the ratio of medians over resamples of both, with a fixed seed: equal files
// give equal answers.
#include "cli/bench_compare.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/bench_report.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr int kResamples = 2000;
constexpr double kTail = 0.025;
constexpr const char* kSamples = "samples";

std::vector<double> numbers_of(const json::value& value) {
  std::vector<double> numbers;
  if (!value.is_array()) return numbers;
  for (const json::value& entry : value.as_array()) {
    if (!entry.is_number()) return {};
    numbers.push_back(entry.to_number<double>());
  }
  return numbers;
}

double resampled_median(const std::vector<double>& values, std::mt19937_64& random) {
  std::uniform_int_distribution<std::size_t> index(0, values.size() - 1);
  std::vector<double> drawn(values.size());
  std::ranges::generate(drawn, [&] { return values[index(random)]; });
  return spread_of(std::move(drawn)).median;
}

FigureChange change_of(
    std::string name, const std::vector<double>& first, const std::vector<double>& second
) {
  FigureChange change{.name = std::move(name)};
  change.first_median = spread_of(first).median;
  change.second_median = spread_of(second).median;
  change.ratio = change.second_median / change.first_median;
  std::mt19937_64 random(1);
  std::vector<double> ratios(kResamples);
  std::ranges::generate(ratios, [&] {
    const double below = resampled_median(first, random);
    return resampled_median(second, random) / below;
  });
  std::ranges::sort(ratios);
  change.low = ratios[static_cast<std::size_t>(kTail * kResamples)];
  change.high = ratios[static_cast<std::size_t>((1.0 - kTail) * kResamples)];
  return change;
}

void walk(
    const json::value& first,
    const json::value& second,
    const std::string& path,
    std::vector<FigureChange>& changes
) {
  if (first.is_array() && second.is_array()) {
    const std::size_t size = std::min(first.as_array().size(), second.as_array().size());
    for (std::size_t i = 0; i < size; ++i)
      walk(first.as_array()[i], second.as_array()[i], path + "/" + std::to_string(i), changes);
  }
  if (!first.is_object() || !second.is_object()) return;
  for (const auto& [key, value] : first.as_object()) {
    const json::value* other = second.as_object().if_contains(key);
    if (other == nullptr) continue;
    const std::vector<double> before = numbers_of(value);
    const std::vector<double> after = numbers_of(*other);
    const bool is_figure = key == kSamples && !before.empty() && !after.empty();
    if (is_figure && spread_of(before).median > 0.0)
      changes.push_back(change_of(path, before, after));
    if (key != kSamples)
      walk(value, *other, path.empty() ? std::string(key) : path + "/" + std::string(key), changes);
  }
}

json::value read_result(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error(ErrorCode::io_error, "\"" + path + "\" cannot be read");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return parse_json(text);
}

}  // namespace

CLI::App* add_bench_compare(CLI::App& bench, BenchCompareArguments& arguments) {
  CLI::App* app = bench.add_subcommand("compare", "whether two results differ");
  app->add_option("A", arguments.first, "JSON of bench, bench serve or bench/peers")->required();
  app->add_option("B", arguments.second, "another one of the same bench")->required();
  app->add_flag("--json", arguments.is_json, "print one JSON object instead of a table");
  app->footer("Example:\n  mlx-serving bench compare before.json after.json\n");
  return app;
}

std::vector<FigureChange> changes_between(const json::value& first, const json::value& second) {
  std::vector<FigureChange> changes;
  walk(first, second, "", changes);
  return changes;
}

int run_bench_compare(const BenchCompareArguments& arguments, CliContext& context) {
  const std::vector<FigureChange> changes =
      changes_between(read_result(arguments.first), read_result(arguments.second));
  if (changes.empty())
    throw Error(ErrorCode::invalid_config, "the two files have no figure with samples in common");
  std::ostream& out = context.console.out;
  if (arguments.is_json) {
    json::array list;
    for (const FigureChange& change : changes) {
      list.push_back(json::object{
          {"figure", change.name},
          {"a", change.first_median},
          {"b", change.second_median},
          {"ratio", change.ratio},
          {"low", change.low},
          {"high", change.high}
      });
    }
    out << json::serialize(json::object{{"changes", std::move(list)}}) << '\n';
    return kExitOk;
  }
  out << "| figure | A | B | B / A | 95 % interval | |\n|---|--:|--:|--:|---|---|\n";
  for (const FigureChange& change : changes) {
    const char* verdict = change.ratio > 1.0 ? "more" : "less";
    out << fmt::format(
        "| {} | {:.4g} | {:.4g} | {:.3f} | {:.3f} to {:.3f} | {} |\n",
        change.name,
        change.first_median,
        change.second_median,
        change.ratio,
        change.low,
        change.high,
        change.is_certain() ? verdict : "no difference shown"
    );
  }
  return kExitOk;
}

}  // namespace mlxs
