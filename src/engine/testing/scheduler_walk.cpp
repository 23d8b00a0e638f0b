// Small sizes, so that pages, places and host slots are always scarce.
#include "engine/testing/scheduler_walk.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <set>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/page_layout.h"
#include "engine/batch.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/sequence.h"
#include "engine/testing/sim_device.h"

namespace mlxs {
namespace {

using std::chrono::milliseconds;

constexpr int kMaxLength = 60;
constexpr std::size_t kMaxLive = 40;
constexpr std::size_t kMaxInFlight = 3;
// Far more steps than all that can be there at once need.
constexpr std::uint64_t kPatience = 5000;

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(fmt::format("SchedulerWalk: {}", what));
}

}  // namespace

SchedulerWalk::SchedulerWalk(Choose choose, TraceSink* trace)
    : choose_(std::move(choose)),
      options_(choose_options()),
      scheduler_(std::make_unique<Scheduler>(options_, trace)),
      device_(options_.cache, options_.host_pages) {}

SchedulerOptions SchedulerWalk::choose_options() {
  const auto upto = [this](unsigned limit) { return static_cast<int>(choose_(limit)); };
  SchedulerOptions options{
      .max_sequences = 1 + upto(8),
      .step_tokens = 8 + upto(40),
      .cache = {.page_size = 4, .groups = {{.num_pages = 16 + upto(60)}}},
      .prefix_caching = !chance(20),
      .max_waiting = 10 + upto(40),
      .preemption = chance(50) ? PreemptionKind::swap : PreemptionKind::recompute,
      .host_pages = upto(30),
      .max_preemptions = upto(4),
      .aging_ms = 20.0 * upto(10),
      .aged_share = 1 + upto(6),
      .watermark = 0.05 * upto(4)
  };
  if (chance(30))
    options.cache.groups.push_back({.num_pages = 8 + upto(20), .window = 1 + upto(12)});
  options.key_weights["b"] = 2.0;
  return options;
}

void SchedulerWalk::act() {
  now_ += milliseconds(choose_(4));
  switch (choose_(16)) {
    case 0:
    case 1:
    case 2:
      add();
      break;
    case 3:
      if (!live_.empty() && chance(40)) {
        const SequenceId id = choose_live();
        remove(id, chance(70) ? Keep::cached : Keep::nothing);
      }
      break;
    case 4:
      pause();
      break;
    case 5:
      end_expired();
      break;
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
      submit(/*fail_percent=*/2);
      break;
    default:
      collect();
  }
  scheduler_->check();
  for (const auto& [id, live] : live_) {
    require(live.is_paused || num_steps_ - live.added_at_step < kPatience, "a sequence starves");
  }
}

void SchedulerWalk::drain() {
  for (auto& [id, live] : live_) {
    live.is_paused = false;
    scheduler_->set_paused(id, false);
  }
  for (std::uint64_t round = 0; !live_.empty() || !flights_.empty(); ++round) {
    require(round < kPatience, "it does not come to an end");
    now_ += milliseconds(1);
    submit(/*fail_percent=*/0);
    if (chance(50) || flights_.size() == kMaxInFlight) collect();
    scheduler_->check();
  }
  require(scheduler_->num_running() == 0 && scheduler_->num_waiting() == 0, "something is left");
  require(scheduler_->stats().host_pages_used == 0, "host pages are left");
  for (int group = 0; group < static_cast<int>(options_.cache.groups.size()); ++group)
    require(scheduler_->cache().counts(group).used == 0, "pages are left");
}

SequenceId SchedulerWalk::choose_live() {
  return std::next(live_.begin(), choose_(static_cast<unsigned>(live_.size())))->first;
}

// One of three common beginnings, and an end of its own.
std::vector<std::int32_t> SchedulerWalk::choose_prompt() {
  const unsigned family = choose_(3);
  const unsigned num_common = choose_(25);
  const unsigned num_own = 1 + choose_(15);
  std::vector<std::int32_t> ids;
  ids.reserve(std::size_t{num_common} + num_own);
  for (unsigned i = 0; i < num_common; ++i)
    ids.push_back(static_cast<std::int32_t>(family * 1000 + i));
  for (unsigned i = 0; i < num_own; ++i) ids.push_back(static_cast<std::int32_t>(choose_(4)));
  return ids;
}

void SchedulerWalk::add() {
  if (live_.size() >= kMaxLive) return;
  if (!live_.empty() && chance(20)) return add_fork(choose_live());
  Sequence sequence;
  sequence.token_ids = choose_prompt();
  sequence.num_prompt_tokens = sequence.num_tokens();
  const int room = kMaxLength - sequence.num_tokens();
  sequence.max_length =
      sequence.num_tokens() + 1 + static_cast<int>(choose_(static_cast<unsigned>(room)));
  while (!scheduler_->fits(sequence.max_length)) --sequence.max_length;
  sequence.priority = static_cast<int>(choose_(3)) - 1;
  sequence.key = std::string(1, static_cast<char>('a' + choose_(3)));
  sequence.cache_salt = chance(10) ? 7 : 0;
  sequence.use_cache = chance(5) ? UseCache::no : UseCache::yes;
  if (chance(10)) sequence.ttft_deadline = now_ + milliseconds(choose_(300));
  if (chance(10)) sequence.deadline = now_ + milliseconds(choose_(600));
  admit(std::move(sequence));
}

void SchedulerWalk::add_fork(SequenceId parent_id) {
  const Sequence& parent = *scheduler_->find(parent_id);
  Sequence sequence;
  sequence.token_ids.assign(
      parent.token_ids.begin(), parent.token_ids.begin() + parent.num_prompt_tokens
  );
  sequence.num_prompt_tokens = parent.num_prompt_tokens;
  sequence.max_length = parent.max_length;
  sequence.priority = parent.priority;
  sequence.key = parent.key;
  sequence.cache_salt = parent.cache_salt;
  sequence.use_cache = parent.use_cache;
  sequence.fork_of = parent_id;
  admit(std::move(sequence));
}

void SchedulerWalk::admit(Sequence sequence) {
  if (sequence.max_length <= sequence.num_tokens()) return;
  const SequenceId id = next_id_++;
  sequence.id = id;
  sequence.seed = id;
  sequence.arrived_at = now_;
  Live live{
      .token_ids = sequence.token_ids,
      .max_length = sequence.max_length,
      .seed = id,
      .added_at_step = num_steps_
  };
  if (scheduler_->add(std::move(sequence), now_).is_accepted()) live_.emplace(id, std::move(live));
}

void SchedulerWalk::submit(unsigned fail_percent) {
  if (flights_.size() >= kMaxInFlight) return;
  const Batch batch = scheduler_->schedule(now_);
  if (batch.is_empty()) {
    require(batch.swap_out.empty() && batch.copies.empty(), "an empty step moves pages");
    return;
  }
  check_batch(batch);
  ++num_steps_;
  Flight flight{.step = batch.step, .fails = chance(fail_percent)};
  const bool is_spoilt = std::ranges::any_of(flights_, &Flight::fails);
  if (flight.fails) {
    device_.run_failing(batch);
  } else {
    flight.tokens = device_.run(batch, is_spoilt ? SimChecks::none : SimChecks::all);
    if (fail_percent > 0 && !flight.tokens.empty() && chance(2))
      flight.tokens.front().is_finite = false;
  }
  flights_.push_back(std::move(flight));
}

void SchedulerWalk::check_batch(const Batch& batch) const {
  require(std::ssize(batch.token_ids) <= options_.step_tokens, "too many rows");
  require(batch.positions.size() == batch.token_ids.size(), "positions and rows differ");
  std::set<SequenceId> sequences;
  std::set<std::pair<std::size_t, std::int32_t>> written;
  for (const BatchSlice& slice : batch.slices) {
    require(sequences.insert(slice.sequence).second, "a sequence is in a step twice");
    require(!live_.at(slice.sequence).is_paused, "a paused sequence runs");
    for (const auto& page : pages_written(slice))
      require(written.insert(page).second, "two sequences write to one page");
  }
}

// By group.
std::set<std::pair<std::size_t, std::int32_t>> SchedulerWalk::pages_written(const BatchSlice& slice
) const {
  std::set<std::pair<std::size_t, std::int32_t>> pages;
  const int first = slice.context_length / options_.cache.page_size;
  const int last = (slice.context_length + slice.num_rows - 1) / options_.cache.page_size;
  for (std::size_t group = 0; group < options_.cache.groups.size(); ++group) {
    for (int page = first; page <= last; ++page)
      pages.emplace(group, slice.pages->groups[group].at(static_cast<std::size_t>(page)));
  }
  return pages;
}

void SchedulerWalk::collect() {
  if (flights_.empty()) return;
  const Flight flight = std::move(flights_.front());
  flights_.pop_front();
  if (flight.fails) {
    const std::vector<SequenceId> lost = scheduler_->fail(flight.step);
    scheduler_->check();
    for (const SequenceId id : lost) remove(id, Keep::nothing);
    return;
  }
  const auto tokens = scheduler_->complete(
      {.step = flight.step,
       .duration = milliseconds(1 + choose_(5)),
       .completed_at = now_,
       .tokens = flight.tokens}
  );
  scheduler_->check();
  for (const NewToken& token : tokens) take(token);
}

void SchedulerWalk::take(const NewToken& token) {
  if (!token.token.is_finite) return remove(token.sequence, Keep::nothing);
  Live& live = live_.at(token.sequence);
  require(token.token.id == SimDevice::next_token(live.token_ids, live.seed), "a wrong token");
  live.token_ids.push_back(token.token.id);
  require(scheduler_->find(token.sequence)->token_ids == live.token_ids, "tokens differ");
  const bool is_full = std::ssize(live.token_ids) >= live.max_length;
  if (!is_full && !chance(3)) return;
  ++num_finished_;
  remove(token.sequence, Keep::cached);
}

void SchedulerWalk::pause() {
  if (live_.empty()) return;
  const SequenceId id = choose_live();
  Live& live = live_.at(id);
  live.is_paused = !live.is_paused && chance(50);
  if (!live.is_paused) live.added_at_step = num_steps_;
  scheduler_->set_paused(id, live.is_paused);
}

void SchedulerWalk::end_expired() {
  for (const SequenceId id : scheduler_->expired(now_)) remove(id, Keep::cached);
}

void SchedulerWalk::remove(SequenceId id, Keep keep) {
  require(scheduler_->remove(id, keep), "a sequence is gone");
  live_.erase(id);
}

}  // namespace mlxs
