// Ranges as data.
#include "engine/request_check.h"

#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "engine/sampling_check.h"
#include "engine/sequence.h"
#include "engine/value_check.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "mlx_serving/output.h"
#include "mlx_serving/request.h"
#include "mlx_serving/sampling.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxStopStrings = 16;
constexpr std::size_t kMaxStopBytes = 4096;
constexpr std::size_t kMaxStopTokens = 1024;
constexpr std::size_t kMaxSaltBytes = 64;
constexpr std::chrono::milliseconds kMaxWait = std::chrono::hours(24);

void check_stop(const StopParams& stop, const ModelInfo& model) {
  if (stop.max_tokens && *stop.max_tokens < 1) {
    refuse("max_tokens", fmt::format("must be at least 1, got {}", *stop.max_tokens));
  }
  if (stop.stop.size() > kMaxStopStrings) {
    refuse("stop", fmt::format("at most {} strings, got {}", kMaxStopStrings, stop.stop.size()));
  }
  for (const std::string& text : stop.stop) {
    if (text.empty()) refuse("stop", "a stop string must not be empty");
    if (text.size() > kMaxStopBytes)
      refuse("stop", fmt::format("a stop string has at most {} bytes", kMaxStopBytes));
  }
  if (stop.stop_token_ids.size() > kMaxStopTokens) {
    refuse(
        "stop_token_ids",
        fmt::format("at most {} ids, got {}", kMaxStopTokens, stop.stop_token_ids.size())
    );
  }
  for (const std::int32_t id : stop.stop_token_ids) check_token_id(id, "stop_token_ids", model);
}

void check_scheduling(const SchedulingParams& scheduling) {
  if (scheduling.priority < kMinPriority || scheduling.priority > kMaxPriority) {
    refuse(
        "priority",
        fmt::format(
            "must be at least {} and at most {}, got {}",
            kMinPriority,
            kMaxPriority,
            scheduling.priority
        )
    );
  }
  const auto check_wait = [](const char* field, std::optional<std::chrono::milliseconds> wait) {
    if (!wait || (wait->count() >= 1 && *wait <= kMaxWait)) return;
    refuse(
        field,
        fmt::format("must be at least 1 and at most {} ms, got {}", kMaxWait.count(), wait->count())
    );
  };
  check_wait("ttft_deadline_ms", scheduling.ttft_deadline);
  check_wait("deadline_ms", scheduling.deadline);
}

void check_prefix_cache(const PrefixCacheParams& prefix_cache) {
  if (prefix_cache.salt.size() <= kMaxSaltBytes) return;
  refuse(
      "cache_salt", fmt::format("at most {} bytes, got {}", kMaxSaltBytes, prefix_cache.salt.size())
  );
}

void check_reasoning(const ReasoningParams& reasoning) {
  if (!reasoning.max_tokens || *reasoning.max_tokens >= 0) return;
  refuse("thinking_token_budget", fmt::format("must be at least 0, got {}", *reasoning.max_tokens));
}

}  // namespace

void check_request(const Request& request, const ModelInfo& model) {
  check_sampling(request.sampling, model);
  check_stop(request.stop, model);
  check_lengths(request);
  check_scheduling(request.scheduling);
  check_prefix_cache(request.prefix_cache);
  check_reasoning(request.reasoning);
}

int check_prompt(
    std::span<const std::int32_t> prompt_ids, const StopParams& stop, const ModelInfo& model
) {
  if (prompt_ids.empty()) refuse("prompt", "must have at least one token");
  for (const std::int32_t id : prompt_ids) check_token_id(id, "prompt", model);
  const auto num_prompt = static_cast<std::int64_t>(prompt_ids.size());
  const std::int64_t num_output = stop.max_tokens.value_or(1);
  if (num_prompt + num_output > model.context_length) {
    throw Error(
        ErrorCode::context_length_exceeded,
        fmt::format(
            "the prompt has {} tokens and {} are to be generated, but the context holds {} tokens; "
            "shorten the prompt or lower max_tokens",
            num_prompt,
            num_output,
            model.context_length
        ),
        "prompt"
    );
  }
  return stop.max_tokens ? static_cast<int>(num_prompt + num_output) : model.context_length;
}

}  // namespace mlxs
