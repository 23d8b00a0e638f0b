// The ranges of the scheduler's options.
#include "engine/scheduler/scheduler_options.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <string_view>

#include "cache/page_layout.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

template <typename T>
void require(bool holds, std::string_view field, T value, std::string_view range) {
  if (holds) return;
  throw Error(
      ErrorCode::invalid_config,
      fmt::format("the scheduler's {} is {}; it must be {}", field, value, range)
  );
}

void check_sizes(const SchedulerOptions& options) {
  require(options.max_sequences >= 1, "max_sequences", options.max_sequences, "at least 1");
  require(
      options.step_tokens >= options.max_sequences,
      "step_tokens",
      options.step_tokens,
      "at least max_sequences, so that every decode fits"
  );
  require(options.cache.page_size >= 1, "page_size", options.cache.page_size, "at least 1");
  require(!options.cache.groups.empty(), "number of page groups", 0, "at least 1");
  for (const PageGroup& group : options.cache.groups) {
    require(
        group.num_pages >= 1,
        "num_pages",
        group.num_pages,
        "at least 1: the KV memory holds not even one page; give it more"
    );
    require(group.window >= 0, "window", group.window, "0 (none) or positive");
  }
  require(options.max_waiting >= 1, "max_waiting", options.max_waiting, "at least 1");
  require(options.host_pages >= 0, "host_pages", options.host_pages, "0 or more");
}

void check_policy(const SchedulerOptions& options) {
  const auto is_in = [](double value, double low, double high) {
    return std::isfinite(value) && value >= low && value <= high;
  };
  require(is_in(options.target_itl_ms, 0, 1e6), "target_itl_ms", options.target_itl_ms, "0 to 1e6");
  require(is_in(options.max_slowdown, 1, 1e3), "max_slowdown", options.max_slowdown, "1 to 1000");
  require(options.min_prefill_rows >= 0, "min_prefill_rows", options.min_prefill_rows, ">= 0");
  require(options.max_preemptions >= 0, "max_preemptions", options.max_preemptions, ">= 0");
  require(is_in(options.aging_ms, 0, 1e9), "aging_ms", options.aging_ms, "0 to 1e9");
  require(options.aged_share >= 0, "aged_share", options.aged_share, "0 (off) or more");
  require(is_in(options.watermark, 0, 0.5), "watermark", options.watermark, "0 to 0.5");
  constexpr std::string_view kWeights = "1e-6 to 1e6";
  require(
      is_in(options.default_weight, 1e-6, 1e6), "default_weight", options.default_weight, kWeights
  );
  for (const auto& [key, weight] : options.key_weights)
    require(is_in(weight, 1e-6, 1e6), fmt::format("weight of key '{}'", key), weight, kWeights);
}

}  // namespace

SchedulerOptions checked(const SchedulerOptions& options) {
  check_sizes(options);
  check_policy(options);
  return options;
}

}  // namespace mlxs
