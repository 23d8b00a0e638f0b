// Everything is in 64 bits: the products of hostile configurations are checked before they are
// narrowed.
#include "engine/kv_budget.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/checked.h"
#include "mlx_serving/config.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr int kPageSize = 32;
// What the pool takes of the machine where nobody said how much: the weights, the caller and the
// system live there too.
constexpr std::int64_t kMemoryShare = 4;

std::int64_t pages_for(std::int64_t num_tokens) { return (num_tokens + kPageSize - 1) / kPageSize; }

int wanted_context(const EngineConfig& config, const KvDemand& demand) {
  if (config.context_length == 0) return demand.model_context;
  if (config.context_length >= 1 && config.context_length <= demand.model_context)
    return config.context_length;
  throw Error(
      ErrorCode::invalid_config,
      fmt::format(
          "context_length is {}, but the model's context is 1 to {} tokens; lower it",
          config.context_length,
          demand.model_context
      )
  );
}

std::int64_t affordable_pages(std::int64_t memory_bytes, std::int64_t page_bytes) {
  const std::int64_t num_pages = memory_bytes / page_bytes;
  if (num_pages >= 1)
    return std::min<std::int64_t>(num_pages, std::numeric_limits<int>::max() / kPageSize);
  throw Error(
      ErrorCode::invalid_config,
      fmt::format(
          "the KV memory of {} bytes does not hold one page of {} bytes; give it more",
          memory_bytes,
          page_bytes
      )
  );
}

}  // namespace

KvBudget plan_kv(const EngineConfig& config, const KvDemand& demand) {
  const auto page_bytes = checked_mul<std::int64_t>(demand.bytes_per_token, kPageSize);
  if (!page_bytes || *page_bytes <= 0 || demand.model_context < 1) {
    throw Error(
        ErrorCode::invalid_model,
        fmt::format("{} bytes of KV per token cannot be", demand.bytes_per_token)
    );
  }
  if (config.kv_memory_bytes < 0)
    throw Error(ErrorCode::invalid_config, "kv_memory must not be negative");

  const int context = wanted_context(config, demand);
  const bool is_stated = config.kv_memory_bytes > 0;
  const std::int64_t affordable = affordable_pages(
      is_stated ? config.kv_memory_bytes : demand.memory_bytes / kMemoryShare, *page_bytes
  );
  const std::int64_t useful = pages_for(context) * std::max(1, config.max_sequences);
  const int num_pages = static_cast<int>(std::min(affordable, useful));
  const int held = std::min(context, num_pages * kPageSize);
  if (config.context_length > held) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format(
            "a context of {} tokens needs {} bytes of KV memory, but there are {}; lower "
            "context_length or raise kv_memory",
            context,
            pages_for(context) * *page_bytes,
            affordable * *page_bytes
        )
    );
  }
  return {.page_size = kPageSize, .num_pages = num_pages, .context_length = held};
}

}  // namespace mlxs
