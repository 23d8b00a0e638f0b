// step() is the engine in a few lines; everything below it is bookkeeping of requests.
#include "engine/engine_loop.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <random>
#include <ratio>
#include <utility>
#include <vector>

#include "base/log.h"
#include "engine/batch.h"
#include "engine/engine_parts.h"
#include "engine/heartbeat.h"
#include "engine/sequence.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"

namespace mlxs {
namespace {

double milliseconds(Heartbeat::Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

}  // namespace

EngineLoop::EngineLoop(const EngineParts& parts, std::size_t capacity)
    : text_(parts.text),
      runner_(parts.make_runner()),
      scheduler_(parts.scheduler),
      commands_(capacity),
      next_seed_(random_seed()) {
  export_counts();
}

bool EngineLoop::step() {
  take_commands();
  watch_readers();
  const Batch batch = scheduler_.schedule();
  if (!batch.is_empty()) {
    note_started(batch);
    try {
      const StepResult result = runner_->run(batch);
      scheduler_.mark_computed(batch);
      // Before the events, so that whoever reads a finish finds its steps counted.
      heartbeat_.step_done(batch.token_ids.size());
      publish(batch, result);
    } catch (const std::exception& error) {
      fail_batch(batch, error.what());
    }
  }
  export_counts();
  return !batch.is_empty();
}

void EngineLoop::take_commands() {
  while (auto request = commands_.try_pop()) start(std::move(*request));
}

void EngineLoop::start(PreparedRequest request) {
  const SequenceId id = next_id_++;
  Sequence sequence;
  sequence.id = id;
  sequence.num_prompt_tokens = static_cast<int>(request.prompt_ids.size());
  sequence.token_ids = std::move(request.prompt_ids);
  sequence.max_length = request.max_length;
  sequence.seed = request.sampling.seed.value_or(next_seed_++);
  sequence.sampling = std::move(request.sampling);

  Live live{
      .ticket = std::move(request.ticket),
      .text = OutputText(text_->tokenizer, std::move(request.stop.stop)),
      .stop_token_ids = std::move(request.stop.stop_token_ids)
  };
  if (!request.stop.ignore_eos) {
    live.stop_token_ids.insert(
        live.stop_token_ids.end(), text_->eos_ids.begin(), text_->eos_ids.end()
    );
  }
  live.ticket.stream().accept(sequence.num_prompt_tokens);
  live_.emplace(id, std::move(live));
  scheduler_.add(std::move(sequence));
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
    scheduler_.set_paused(id, is_paused);
    num_paused += is_paused ? 1 : 0;
  }
  for (const SequenceId id : cancelled) finish(id, {.reason = FinishReason::cancelled}, {});
  num_paused_.store(num_paused, std::memory_order_relaxed);
}

void EngineLoop::note_started(const Batch& batch) {
  for (const BatchSlice& slice : batch.slices) {
    if (slice.context_length == 0) live_.at(slice.sequence).started_at = Clock::now();
  }
}

void EngineLoop::publish(const Batch& batch, const StepResult& result) {
  for (std::size_t i = 0; i < batch.samples.size(); ++i)
    publish_token(batch.samples[i].sequence, result.tokens.at(i));
}

void EngineLoop::publish_token(SequenceId id, const SampledToken& token) {
  if (!token.is_finite) {
    fail(
        id, Error(ErrorCode::numerical_error, "the model's logits are not finite for this request")
    );
    return;
  }
  Live& live = live_.at(id);
  scheduler_.append(id, token.id);
  const Sequence& sequence = *scheduler_.find(id);
  if (sequence.num_output_tokens() == 1) live.first_token_at = Clock::now();

  const bool is_end = std::ranges::find(live.stop_token_ids, token.id) != live.stop_token_ids.end();
  live.ticket.stream().append(token.id, is_end ? std::string() : live.text.append(token.id));
  const bool is_full = sequence.num_tokens() >= sequence.max_length;
  if (!is_end && !is_full && !live.text.is_stopped()) return;

  const std::string last_text = live.text.finish();
  const bool is_stopped = is_end || live.text.is_stopped();
  finish(
      id,
      {.reason = is_stopped ? FinishReason::stop : FinishReason::length,
       .stop_string = live.text.stopped_by()},
      last_text
  );
}

void EngineLoop::fail_batch(const Batch& batch, const std::string& what) {
  log_error("a step of {} tokens failed: {}", batch.token_ids.size(), what);
  heartbeat_.failed(what);
  for (const BatchSlice& slice : batch.slices) {
    fail(
        slice.sequence,
        Error(ErrorCode::engine_error, "the device failed while it ran this request: " + what)
    );
  }
}

void EngineLoop::finish(SequenceId id, Finish finish, std::string_view last_text) {
  const auto found = live_.find(id);
  Live& live = found->second;
  const Sequence& sequence = *scheduler_.find(id);
  finish.usage.prompt_tokens = sequence.num_prompt_tokens;
  finish.usage.completion_tokens = sequence.num_output_tokens();
  const auto now = Clock::now();
  const bool has_started = live.started_at != Clock::time_point{};
  const bool has_token = live.first_token_at != Clock::time_point{};
  finish.timings.queue_ms =
      milliseconds((has_started ? live.started_at : now) - live.ticket.submitted_at());
  if (has_started)
    finish.timings.prefill_ms =
        milliseconds((has_token ? live.first_token_at : now) - live.started_at);
  if (has_token) finish.timings.decode_ms = milliseconds(now - live.first_token_at);

  scheduler_.remove(id);
  export_counts();
  num_finished_.fetch_add(1, std::memory_order_relaxed);
  live.ticket.finish(std::move(finish), last_text);
  live_.erase(found);
}

void EngineLoop::fail(SequenceId id, const Error& error) {
  if (live_.contains(id)) finish(id, {.reason = FinishReason::error, .error = error}, {});
}

int EngineLoop::fail_all(const Error& error) {
  take_commands();
  std::vector<SequenceId> ids;
  ids.reserve(live_.size());
  ids.reserve(live_.size());
  for (const auto& entry : live_) ids.push_back(entry.first);
  for (const SequenceId id : ids) fail(id, error);
  export_counts();
  return static_cast<int>(ids.size());
}

void EngineLoop::export_counts() {
  num_running_.store(scheduler_.num_running(), std::memory_order_relaxed);
  num_free_pages_.store(scheduler_.pool().num_free(), std::memory_order_relaxed);
}

void EngineLoop::read_stats(EngineStats& stats) const {
  stats.num_running = num_running_.load(std::memory_order_relaxed);
  stats.num_pages = scheduler_.pool().num_pages();
  stats.num_free_pages = num_free_pages_.load(std::memory_order_relaxed);
  stats.num_steps = heartbeat_.num_steps();
  stats.num_step_tokens = heartbeat_.num_tokens();
  stats.num_requests_finished = num_finished_.load(std::memory_order_relaxed);
}

}  // namespace mlxs
