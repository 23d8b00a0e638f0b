// Pages in host memory: saving them, bringing them back, giving them up.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cache/page_layout.h"
#include "engine/batch.h"
#include "engine/scheduler/entry.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/scheduler/scheduler_state.h"
#include "engine/sequence.h"

namespace mlxs {

bool SchedulerState::swap_out(Entry& entry, Batch& batch) {
  if (options.preemption != PreemptionKind::swap) return false;
  // A table with pages behind a window could not be filled again and grow at the same time. And
  // what the batch copies for it would be read before the copy is made.
  if (has_windows() || entry.copied_in == batch.step) return false;
  const int num_tokens = entry.sequence.num_scheduled;
  const auto num_pages = static_cast<std::size_t>(pages_for(num_tokens, options.cache.page_size));
  if (num_tokens == 0) return false;
  const auto& groups = entry.pages->groups;
  const auto begun = [num_pages](const std::vector<std::int32_t>& table) {
    return std::span(table).first(std::min(num_pages, table.size()));
  };
  for (std::size_t group = 0; group < groups.size(); ++group) {
    const auto table = begun(groups[group]);
    const auto needed = table.size() - static_cast<std::size_t>(std::ranges::count(table, kNoPage));
    if (static_cast<std::size_t>(hosts.num_free(group)) < needed) return false;
  }
  entry.host_slots.assign(groups.size(), {});
  for (std::size_t group = 0; group < groups.size(); ++group) {
    for (const std::int32_t page : begun(groups[group])) {
      const std::int32_t slot = page == kNoPage ? kNoPage : hosts.take(group);
      entry.host_slots[group].push_back(slot);
      if (page == kNoPage) continue;
      batch.swap_out.push_back({.group = static_cast<int>(group), .page = page, .host_slot = slot});
    }
  }
  entry.host_tokens = num_tokens;
  ++num_swapped;
  swapped_out.push_back(entry.sequence.id);
  return true;
}

void SchedulerState::forget_swap(Entry& entry) {
  drop_host_copy(entry);
  entry.sequence.num_scheduled = 0;
  entry.sequence.num_computed = 0;
  --entry.sequence.num_swaps;
  ++entry.sequence.num_recomputes;
  --totals.num_swaps;
  ++totals.num_recomputes;
}

void SchedulerState::swap_in(Entry& entry, Batch& batch) {
  const int cached = kv.num_computed(entry.sequence.id);
  const auto first = static_cast<std::size_t>(cached / options.cache.page_size);
  for (std::size_t group = 0; group < entry.host_slots.size(); ++group) {
    const auto& table = entry.pages->groups[group];
    const auto& slots = entry.host_slots[group];
    for (std::size_t page = first; page < slots.size(); ++page) {
      if (table[page] == kNoPage) continue;
      batch.swap_in.push_back(
          {.group = static_cast<int>(group), .page = table[page], .host_slot = slots[page]}
      );
    }
  }
}

void SchedulerState::drop_host_copy(Entry& entry) {
  if (entry.host_tokens > 0) --num_swapped;
  for (std::size_t group = 0; group < entry.host_slots.size(); ++group) {
    for (const std::int32_t slot : entry.host_slots[group]) {
      if (slot != kNoPage) hosts.give_back(group, slot);
    }
  }
  entry.host_slots.clear();
  entry.host_tokens = 0;
}

}  // namespace mlxs
