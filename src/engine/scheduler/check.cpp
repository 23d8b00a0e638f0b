// The scheduler's invariants, counted anew from its sequences.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "cache/page_layout.h"
#include "engine/scheduler/entry.h"
#include "engine/scheduler/scheduler_state.h"
#include "engine/sequence.h"

namespace mlxs {
namespace {

void require(bool holds, std::string_view what, SequenceId id) {
  if (!holds)
    throw std::logic_error(fmt::format("the scheduler's books differ: {} (sequence {})", what, id));
}

void check_progress(const Entry& entry) {
  const Sequence& sequence = entry.sequence;
  const SequenceId id = sequence.id;
  require(sequence.num_computed <= sequence.num_scheduled, "computed more than scheduled", id);
  require(sequence.num_scheduled <= entry.num_known_or_fed(), "scheduled more than there is", id);
  require(entry.num_known_or_fed() <= sequence.max_length, "longer than it may be", id);
  require(
      entry.in_flight.size() == static_cast<std::size_t>(sequence.num_in_flight),
      "tokens in flight",
      id
  );
}

void check_holdings(const SchedulerState& state, const Entry& entry) {
  const SequenceId id = entry.sequence.id;
  const bool is_running = std::ranges::count(state.running, &entry) == 1;
  require(is_running == entry.is_running(), "runs or not", id);
  require(state.kv.contains(id) == entry.is_running(), "holds pages or not", id);
  require((entry.key == nullptr) == (entry.state == EntryState::ended), "has a key or not", id);
  require(entry.leader == 0 || entry.state == EntryState::parked, "waits and runs", id);
  require(entry.leader == 0 || state.find(entry.leader) != nullptr, "waits for nobody", id);
  require(entry.state != EntryState::ended || entry.host_tokens == 0, "ended with host pages", id);
  require((entry.host_tokens > 0) == !entry.host_slots.empty(), "host pages", id);
}

}  // namespace

void SchedulerState::check() const {
  kv.check();
  int num_waiting = 0;
  int parked = 0;
  int swapped = 0;
  int slots = 0;
  std::size_t num_timers = 0;
  std::vector<int> pages(promised.size(), 0);
  for (const auto& [id, entry] : entries) {
    check_progress(*entry);
    check_holdings(*this, *entry);
    num_waiting += entry->state == EntryState::waiting ? 1 : 0;
    parked += entry->state == EntryState::parked ? 1 : 0;
    swapped += entry->host_tokens > 0 ? 1 : 0;
    num_timers += entry->timer != kNever ? 1 : 0;
    for (const auto& group : entry->host_slots)
      slots +=
          static_cast<int>(group.size()) - static_cast<int>(std::ranges::count(group, kNoPage));
    for (std::size_t group = 0; group < entry->promised.size(); ++group)
      pages[group] += entry->promised[group];
  }
  require(num_waiting == queue.size(), "the queue", 0);
  require(parked == num_parked, "the parked", 0);
  require(swapped == num_swapped, "the swapped", 0);
  require(slots == hosts.num_used(), "the host slots", 0);
  require(num_timers == timers.size(), "the deadlines", 0);
  require(pages == promised, "the promised pages", 0);
  require(std::ssize(running) <= options.max_sequences, "too many run", 0);
}

}  // namespace mlxs
