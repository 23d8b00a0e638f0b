// Everything is in 64 bits: the products of hostile configurations are checked before they are
// narrowed.
#include "engine/kv_budget.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "base/checked.h"
#include "cache/page_layout.h"
#include "mlx_serving/config.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr int kPageSize = 32;

struct Group {
  int window = 0;
  std::int64_t page_bytes = 0;
};

std::vector<Group> groups_of(const KvDemand& demand) {
  std::vector<Group> groups;
  for (const KvGroupDemand& group : demand.groups) {
    const auto page_bytes = checked_mul<std::int64_t>(group.bytes_per_token, kPageSize);
    // The sums below add a few of these times at most 2^31 pages, in 64 bits.
    const bool is_sane = page_bytes && *page_bytes > 0 && *page_bytes < (std::int64_t{1} << 30U);
    if (!is_sane) {
      throw Error(
          ErrorCode::invalid_model,
          fmt::format("{} bytes of KV per token cannot be", group.bytes_per_token)
      );
    }
    groups.push_back({.window = group.window, .page_bytes = *page_bytes});
  }
  if (groups.empty() || demand.model_context < 1)
    throw Error(ErrorCode::invalid_model, "a model without layers or context cannot be");
  return groups;
}

// RETURNS: pages that a sequence of `num_tokens` tokens has at once. What a window and one more
// page see may begin and end inside a page.
std::int64_t pages_of_sequence(const Group& group, int num_tokens) {
  const int whole = pages_for(num_tokens, kPageSize);
  return group.window > 0 ? std::min(pages_for(group.window, kPageSize) + 2, whole) : whole;
}

std::int64_t bytes_of_sequence(const std::vector<Group>& groups, int num_tokens) {
  std::int64_t sum = 0;
  for (const Group& group : groups) sum += pages_of_sequence(group, num_tokens) * group.page_bytes;
  return sum;
}

// RETURNS: the longest sequence, up to `wanted` tokens, whose pages fit into `memory_bytes`.
int longest_sequence(const std::vector<Group>& groups, int wanted, std::int64_t memory_bytes) {
  if (bytes_of_sequence(groups, wanted) <= memory_bytes) return wanted;
  int fits = 0;
  int too_long = pages_for(wanted, kPageSize);
  while (too_long - fits > 1) {
    const int pages = fits + (too_long - fits) / 2;
    (bytes_of_sequence(groups, pages * kPageSize) <= memory_bytes ? fits : too_long) = pages;
  }
  return fits * kPageSize;
}

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

std::int64_t affordable_bytes(const EngineConfig& config, const KvDemand& demand) {
  if (config.kv_memory_bytes < 0)
    throw Error(ErrorCode::invalid_config, "kv_memory must not be negative");
  if (config.kv_memory_bytes > demand.memory_bytes) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format(
            "kv_memory is {} bytes, but there are {} beside the model; lower it",
            config.kv_memory_bytes,
            demand.memory_bytes
        )
    );
  }
  if (config.kv_memory_bytes > 0 && config.kv_memory_share <= 0.0) return config.kv_memory_bytes;
  const double share =
      config.kv_memory_share > 0.0 ? std::min(1.0, config.kv_memory_share) : demand.default_share;
  return static_cast<std::int64_t>(static_cast<double>(demand.memory_bytes) * share);
}

}  // namespace

KvBudget plan_kv(const EngineConfig& config, const KvDemand& demand) {
  const std::vector<Group> groups = groups_of(demand);
  const int context = wanted_context(config, demand);
  const std::int64_t memory = affordable_bytes(config, demand);
  const int held = longest_sequence(groups, context, memory);
  if (held < 1) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format(
            "the KV memory of {} bytes does not hold one page of {} bytes; give it more",
            memory,
            bytes_of_sequence(groups, 1)
        )
    );
  }
  if (config.context_length > held) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format(
            "a context of {} tokens needs {} bytes of KV memory, but there are {}; lower "
            "context_length or raise kv_memory",
            context,
            bytes_of_sequence(groups, context),
            memory
        )
    );
  }
  const std::int64_t one = bytes_of_sequence(groups, held);
  const std::int64_t useful = one * std::max(1, config.max_sequences);
  const std::int64_t spent = std::min(memory, useful);
  KvBudget budget{.layout = {.page_size = kPageSize, .groups = {}}, .context_length = held};
  for (const Group& group : groups) {
    const auto share = static_cast<double>(spent) / static_cast<double>(one);
    const auto num_pages = static_cast<std::int64_t>(
        static_cast<double>(pages_of_sequence(group, held)) * std::max(1.0, share)
    );
    budget.layout.groups.push_back(
        {.num_pages = static_cast<int>(
             std::min<std::int64_t>(num_pages, std::numeric_limits<int>::max() / kPageSize)
         ),
         .window = group.window}
    );
  }
  return budget;
}

}  // namespace mlxs
