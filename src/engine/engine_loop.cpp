// One turn after the other; what a request is while it runs.
#include "engine/engine_loop.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/thread_annotations.h"
#include "cache/kv_cache.h"
#include "cache/page_key.h"
#include "cache/prefix_lookup.h"
#include "engine/batch.h"
#include "engine/engine_parts.h"
#include "engine/live_output.h"
#include "engine/open_requests.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/trace.h"
#include "engine/sequence.h"
#include "engine/step_meter.h"
#include "engine/submission_ring.h"
#include "engine/text_model.h"
#include "engine/text_stage.h"
#include "engine/tier_link.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "sampling/sampling_batch.h"
#include "sampling/token_rules.h"
#include "text/output_delta.h"

namespace mlxs {
namespace {

double milliseconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

TimePoint deadline_after(TimePoint from, std::optional<std::chrono::milliseconds> wait) {
  return wait ? from + *wait : kNever;
}

Timings timings_of(const Sequence& sequence, TimePoint now) {
  Timings timings;
  const bool has_started = sequence.started_at != kNever;
  const bool has_token = sequence.first_token_at != kNever;
  timings.queue_ms = milliseconds((has_started ? sequence.started_at : now) - sequence.arrived_at);
  if (has_started)
    timings.prefill_ms =
        milliseconds((has_token ? sequence.first_token_at : now) - sequence.started_at);
  if (has_token) timings.decode_ms = milliseconds(now - sequence.first_token_at);
  return timings;
}

CacheMiss to_public(MissReason reason) {
  switch (reason) {
    case MissReason::none:
      return CacheMiss::none;
    case MissReason::first_token:
      return CacheMiss::first_token;
    case MissReason::diverged:
      return CacheMiss::diverged;
    case MissReason::evicted:
      return CacheMiss::evicted;
    case MissReason::salted:
      return CacheMiss::salted;
    case MissReason::disabled:
      return CacheMiss::disabled;
  }
  throw std::logic_error("a reason without a name");
}

std::string what_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& known) {
    return known.what();
  } catch (...) {
    return "an error of unknown type";
  }
}

// The device's own threads have the rest of a CPU.
int num_mask_threads() {
  constexpr unsigned kMost = 8;
  return static_cast<int>(std::clamp(std::thread::hardware_concurrency() / 2, 1U, kMost));
}

}  // namespace

EngineLoop::EngineLoop(const EngineParts& parts, std::size_t capacity, std::function<void()> wake)
    : text_(parts.text),
      runner_(parts.make_runner()),
      trace_(parts.make_trace ? parts.make_trace() : nullptr),
      scheduler_(parts.scheduler, trace_.get()),
      ring_(parts.ring),
      meter_(parts.collector),
      governor_(parts.collector, parts.slo_action),
      tier_(
          parts.make_disk_tier
              ? std::make_unique<TierLink>(
                    parts.make_disk_tier(), scheduler_.cache(), *runner_, std::move(wake)
                )
              : nullptr
      ),
      commands_(capacity),
      next_seed_(random_seed()),
      mask_workers_(num_mask_threads()) {
  export_stats();
}

EngineLoop::~EngineLoop() = default;

bool EngineLoop::step() {
  prepare();
  if (ring_.is_empty()) awaits_tokens_ = false;
  const bool has_submitted = !ring_.is_full() && !awaits_tokens_ && submit_next();
  const bool has_to_collect = !ring_.is_empty() && (ring_.is_full() || !has_submitted);
  if (has_to_collect) collect_oldest();
  const bool has_written = tier_ && tier_->write_some();
  export_stats();
  return has_submitted || has_to_collect || has_written;
}

bool EngineLoop::step_plain() {
  prepare();
  const bool has_submitted = submit_next();
  if (has_submitted) collect_oldest();
  const bool has_written = tier_ && tier_->write_some();
  export_stats();
  return has_submitted || has_written;
}

void EngineLoop::prepare() {
  take_commands();
  watch_readers();
  end_expired();
  governor_.apply(scheduler_, Clock::now());
}

void EngineLoop::take_commands() {
  while (auto request = commands_.try_pop()) {
    if (!begin_load(*request)) start(std::move(*request));
  }
  while (const auto loaded = tier_ ? tier_->finish_load() : std::nullopt) {
    auto request = loading_.extract(*loaded);
    if (!request.empty()) start(std::move(request.mapped()));
  }
}

// Others go on while the disk is read. RETURNS: whether the request was put aside until then.
bool EngineLoop::begin_load(PreparedRequest& request) {
  if (!tier_ || !request.prefix_cache.is_enabled) return false;
  if (!tier_->begin_load(next_load_, request.prompt_ids, salts_of(request))) return false;
  loading_.emplace(next_load_++, std::move(request));
  return true;
}

TierSalts EngineLoop::salts_of(const PreparedRequest& request) {
  const std::string& salt = request.prefix_cache.salt;
  return {.in_memory = salts_.number_of(salt), .on_disk = salt_of(salt)};
}

void EngineLoop::start(PreparedRequest request) {
  Sequence sequence;
  sequence.num_prompt_tokens = static_cast<int>(request.prompt_ids.size());
  sequence.token_ids = std::move(request.prompt_ids);
  sequence.max_length = request.max_length;
  sequence.sampling = std::move(request.sampling);
  sequence.seed = sequence.sampling.seed.value_or(next_seed_);
  sequence.rules = request.rules;
  sequence.needs_known_tokens = needs_known_tokens(sequence.sampling, request.rules.get());
  sequence.mirostat_mu = first_mirostat_mu(sequence.sampling.mirostat);
  sequence.priority = request.scheduling.priority;
  sequence.key = std::move(request.scheduling.key);
  sequence.key_weight = request.scheduling.key_weight;
  const TierSalts salts = salts_of(request);
  sequence.cache_salt = salts.in_memory;
  // What is told of each token of the prompt needs each of them to be computed.
  const bool needs_all =
      sequence.sampling.logprobs.prompt_num_top.has_value() || request.pooling == Pooling::mean;
  sequence.pooling = request.pooling;
  const bool uses_cache = request.prefix_cache.is_enabled && !needs_all;
  sequence.use_cache = uses_cache ? UseCache::yes : UseCache::no;
  sequence.arrived_at = request.tickets.front().submitted_at();
  sequence.ttft_deadline = deadline_after(sequence.arrived_at, request.scheduling.ttft_deadline);
  sequence.deadline = deadline_after(sequence.arrived_at, request.scheduling.deadline);

  // The first one is the sequence that the others fork from; without it they run on their own.
  SequenceId parent = 0;
  for (std::size_t i = 0; i < request.tickets.size(); ++i) {
    sequence.id = next_id_++;
    sequence.fork_of = needs_all ? 0 : parent;
    Live live{
        .ticket = std::move(request.tickets[i]),
        .output = LiveOutput(*text_, request.stop, request.output, i),
        .salts = salts,
        .prompt = PromptOutput(
            {.pooling = request.pooling,
             .has_logprobs = sequence.sampling.logprobs.prompt_num_top.has_value(),
             .returns_ids = request.returns_prompt}
        )
    };
    if (start_sequence(sequence, std::move(live)) && parent == 0) parent = sequence.id;
    ++sequence.seed;
  }
  next_seed_ += request.tickets.size();
}

bool EngineLoop::start_sequence(Sequence sequence, Live live) {
  const SequenceId id = sequence.id;
  const int num_prompt_tokens = sequence.num_prompt_tokens;
  if (governor_.refuses(sequence)) {
    live.ticket.fail(governor_.refusal());
    return false;
  }
  const Admission admission = scheduler_.add(std::move(sequence), Clock::now());
  if (!admission.is_accepted()) {
    live.ticket.fail(refusal_error(admission));
    return false;
  }
  live.ticket.stream().accept(num_prompt_tokens);
  num_guided_ += live.output.is_guided() ? 1 : 0;
  live_.emplace(id, std::move(live));
  return true;
}

void EngineLoop::watch_readers() {
  std::vector<SequenceId> cancelled;
  int num_paused = 0;
  for (auto& [id, live] : live_) {
    if (live.ticket.stream().is_cancelled()) {
      cancelled.push_back(id);
      continue;
    }
    const bool is_paused = live.ticket.stream().is_backed_up();
    if (is_paused != scheduler_.find(id)->is_paused) scheduler_.set_paused(id, is_paused);
    num_paused += is_paused ? 1 : 0;
  }
  for (const SequenceId id : cancelled)
    finish(id, {.reason = FinishReason::cancelled}, {}, Keep::cached);
  num_paused_.store(num_paused, std::memory_order_relaxed);
}

void EngineLoop::end_expired() {
  for (const SequenceId id : scheduler_.expired(Clock::now())) {
    fail(
        id,
        Error(
            ErrorCode::deadline_exceeded,
            "the request's deadline passed, or can no longer be met, before it was done"
        )
    );
  }
}

bool EngineLoop::submit_next() {
  Batch batch = scheduler_.schedule(Clock::now());
  if (batch.is_empty()) {
    if (ring_.is_empty()) {
      ring_.pause();
      meter_.pause();
    }
    return false;
  }
  add_masks(batch);
  try {
    ring_.submit(*runner_, batch);
    meter_.submitted(batch, Clock::now());
  } catch (const std::exception& error) {
    // What a device did wrong before may be told only now, so no step in flight is to be trusted.
    const std::string what = error.what();
    while (!ring_.is_empty()) fail_step(ring_.collect().step, what);
    fail_step(batch.step, what);
  }
  return true;
}

// The mask of a token that depends on one in flight cannot be known, so the next step waits then.
void EngineLoop::add_masks(Batch& batch) {
  if (num_guided_ == 0) return;
  for (BatchSample& sample : batch.samples) {
    const auto found = live_.find(sample.sequence);
    if (found == live_.end() || !found->second.output.is_guided()) continue;
    awaits_tokens_ = true;
    sample.mask = found->second.output.mask();
  }
}

void EngineLoop::collect_oldest() {
  const CollectedStep collected = ring_.collect();
  switch (collected.outcome) {
    case CollectedStep::Outcome::completed: {
      const TimePoint now = Clock::now();
      const std::vector<NewToken> tokens = scheduler_.complete(
          {.step = collected.step,
           .duration = collected.duration,
           .completed_at = now,
           .tokens = collected.result.tokens}
      );
      for (const ComputedChunk& computed :
           meter_.completed(collected.step, collected.duration, now)) {
        const auto live = live_.find(computed.sequence);
        if (live != live_.end()) live->second.ticket.meter().prefill_chunk(computed.chunk);
      }
      meter_.profile_kernels(*runner_, now);
      // Before the events, so that whoever reads a finish finds its steps counted.
      heartbeat_.step_done(collected.num_rows);
      collect_prompts(collected.result);
      publish(tokens, now);
      return;
    }
    case CollectedStep::Outcome::failed:
      fail_step(collected.step, what_of(collected.error));
      return;
    case CollectedStep::Outcome::timed_out:
      fail_step(
          collected.step,
          fmt::format(
              "a step did not end within {} s",
              std::chrono::duration<double>(collected.duration).count()
          )
      );
      return;
  }
}

void EngineLoop::publish(const std::vector<NewToken>& tokens, TimePoint now) {
  for (const NewToken& entry : tokens) {
    if (!entry.token.is_finite) {
      fail(
          entry.sequence,
          Error(ErrorCode::numerical_error, "the model's logits are not finite for this request")
      );
      continue;
    }
    try {
      publish_token(entry.sequence, entry.token, now);
    } catch (const Error& error) {
      fail(entry.sequence, error);
    } catch (const std::exception& error) {
      log_error("a request's text could not be made: {}", error.what());
      fail(
          entry.sequence,
          Error(
              ErrorCode::engine_error,
              std::string("the text of this request could not be made: ") + error.what()
          )
      );
    }
  }
}

void EngineLoop::collect_prompts(const StepResult& result) {
  for (const PromptScore& score : result.prompt_scores) {
    const auto found = live_.find(score.sequence);
    if (found != live_.end()) found->second.prompt.add(score);
  }
  for (const PooledRows& rows : result.pools) {
    const auto found = live_.find(rows.pool.sequence);
    if (found != live_.end()) found->second.prompt.add(rows);
  }
}

void EngineLoop::publish_token(SequenceId id, const SampledToken& token, TimePoint now) {
  Live& live = live_.at(id);
  const Sequence& sequence = *scheduler_.find(id);
  if (live.prompt.is_pooled()) {
    live.ticket.stream().tell_embedding(live.prompt.take_embedding());
    finish(id, {.reason = FinishReason::stop}, {}, Keep::cached);
    return;
  }
  count_token(live.ticket.meter(), sequence, live.last_token_at, now);
  live.last_token_at = now;
  if (sequence.num_output_tokens() == 1) live.prompt.tell(sequence, live.ticket.stream());
  const bool was_guided = live.output.is_guided();
  const LiveOutput::Piece piece = live.output.take(token.id);
  num_guided_ -= was_guided && !live.output.is_guided() ? 1 : 0;
  live.ticket.stream().append(
      token.id, piece.delta, piece.is_shown ? token.logprobs.get() : nullptr
  );
  const bool is_full = sequence.num_tokens() >= sequence.max_length;
  if (!piece.is_end && !is_full) {
    // Begun at once, while the batch of its step is still to be made.
    if (auto mask = live.output.mask()) mask_workers_.add(std::move(mask));
    return;
  }
  const OutputDelta last = live.output.finish();
  finish(
      id, {.reason = piece.is_end ? FinishReason::stop : FinishReason::length}, last, Keep::cached
  );
}

void EngineLoop::fail_step(std::uint64_t step, const std::string& what) {
  log_error("a step failed: {}", what);
  heartbeat_.failed(what);
  meter_.dropped(step);
  for (const SequenceId id : scheduler_.fail(step)) {
    fail(
        id, Error(ErrorCode::engine_error, "the device failed while it ran this request: " + what)
    );
  }
}

void EngineLoop::finish(SequenceId id, Finish finish, const OutputDelta& last, Keep keep) {
  const auto found = live_.find(id);
  const Sequence& sequence = *scheduler_.find(id);
  finish.usage.prompt_tokens = sequence.num_prompt_tokens;
  finish.usage.cached_tokens = sequence.num_cached_tokens;
  finish.usage.completion_tokens = sequence.pooling ? 0 : sequence.num_output_tokens();
  finish.cache = {
      .miss = to_public(sequence.miss), .first_differing_token = sequence.first_differing_token
  };
  finish.timings = timings_of(sequence, Clock::now());
  found->second.output.describe(finish);
  finish.course = {
      .num_prompt_chunks = sequence.num_chunks,
      .num_preemptions = sequence.num_recomputes + sequence.num_swaps
  };
  const bool is_kept = tier_ && keep == Keep::cached && sequence.use_cache == UseCache::yes;
  std::vector<std::int32_t> kept;
  if (is_kept)
    kept.assign(sequence.token_ids.begin(), sequence.token_ids.begin() + sequence.num_computed);
  scheduler_.remove(id, keep);
  Live live = std::move(found->second);
  if (is_kept) tier_->remember(kept, live.salts);
  num_guided_ -= live.output.is_guided() ? 1 : 0;
  live_.erase(found);
  heartbeat_.request_finished();
  export_stats();
  live.ticket.finish(std::move(finish), last);
}

void EngineLoop::fail(SequenceId id, const Error& error) {
  if (live_.contains(id))
    finish(id, {.reason = FinishReason::error, .error = error}, {}, Keep::nothing);
}

int EngineLoop::fail_all(const Error& error) {
  take_commands();
  std::vector<SequenceId> ids;
  ids.reserve(live_.size());
  for (const auto& entry : live_) ids.push_back(entry.first);
  for (const SequenceId id : ids) fail(id, error);
  int num_failed = static_cast<int>(ids.size());
  for (auto& entry : loading_) {
    for (Ticket& ticket : entry.second.tickets) ticket.fail(error);
    num_failed += static_cast<int>(entry.second.tickets.size());
  }
  loading_.clear();
  while (!ring_.is_empty()) collect_oldest();
  export_stats();
  return num_failed;
}

bool EngineLoop::flush_cache(std::chrono::milliseconds timeout) {
  return !tier_ || tier_->flush(timeout);
}

void EngineLoop::export_stats() {
  const SchedulerStats scheduler = scheduler_.stats();
  const SubmissionRingStats ring = ring_.stats();
  EngineStats stats;
  for (std::size_t group = 0; group < scheduler_.cache().layout().groups.size(); ++group) {
    const KvCache::Counts counts = scheduler_.cache().counts(static_cast<int>(group));
    stats.num_pages += counts.num_pages;
    stats.num_free_pages += counts.free;
    stats.num_cached_pages += counts.cached;
  }
  stats.num_running = scheduler.num_running;
  stats.num_prompt_tokens = scheduler.num_prompt_tokens;
  stats.num_cached_tokens = scheduler.num_cached_tokens;
  stats.num_preemptions = scheduler.num_recomputes + scheduler.num_swaps;
  stats.num_failed_steps = scheduler.num_failed_steps;
  stats.scheduler = figures_of(scheduler);
  stats.ring = figures_of(ring);
  stats.num_in_flight_steps = ring.num_in_flight;
  stats.device_idle_share = ring.idle_share();
  MutexLock lock(stats_mutex_);
  stats_ = stats;
}

void EngineLoop::read_stats(EngineStats& stats) const {
  {
    MutexLock lock(stats_mutex_);
    stats = stats_;
  }
  stats.num_steps = heartbeat_.num_steps();
  stats.num_step_tokens = heartbeat_.num_tokens();
  stats.num_requests_finished = heartbeat_.num_requests_finished();
}

}  // namespace mlxs
