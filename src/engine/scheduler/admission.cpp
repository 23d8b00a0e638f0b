// Predictions from the cost of steps, the queue and the lengths of past requests. They neither know
// how long the requests ahead will go on nor who comes later: an estimate, not a promise.
#include "engine/scheduler/admission.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>

#include "engine/scheduler/entry.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/scheduler/scheduler_state.h"
#include "engine/scheduler/step_cost.h"
#include "engine/scheduler/waiting_queue.h"
#include "engine/sequence.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

// What runs: its decodes, and what is left of prompts at least as urgent.
struct Running {
  StepShape decodes = {};
  std::int64_t prompt_rows = 0;
  int num_at_least = 0;
};

Running look_at_running(const SchedulerState& state, int priority) {
  Running result;
  for (const Entry* entry : state.running) {
    result.num_at_least += entry->urgency >= priority ? 1 : 0;
    if (!entry->can_run()) continue;
    if (entry->is_decode()) {
      result.decodes.add_slice(1, entry->sequence.num_scheduled);
    } else if (entry->urgency >= priority) {
      result.prompt_rows += entry->num_pending();
    }
  }
  return result;
}

// RETURNS: prompt rows per second beside those decodes.
double prefill_rate(const SchedulerState& state, const StepShape& decodes) {
  const int rows = std::max(1, prefill_budget(state, decodes));
  const double step_s = state.cost.predict(decodes) + state.cost.prefill_seconds(rows, 0);
  return step_s > 0.0 ? rows / step_s : 0.0;
}

double whole_seconds(double seconds) { return std::max(1.0, std::ceil(seconds)); }

}  // namespace

int prefill_budget(const SchedulerState& state, const StepShape& decodes) {
  const SchedulerOptions& options = state.options;
  const int most = options.step_tokens - decodes.decode_rows;
  if (decodes.decode_rows == 0) return most;
  const int floor =
      options.min_prefill_rows > 0 ? options.min_prefill_rows : options.cache.page_size;
  const int affordable =
      state.cost.rows_within(prefill_seconds_beside(state, decodes), /*context_length=*/0, most);
  return std::min(most, std::max(floor, affordable));
}

double prefill_seconds_beside(const SchedulerState& state, const StepShape& decodes) {
  const double alone_s = state.cost.predict(decodes);
  const double limit_s = state.options.target_itl_ms > 0.0 ? state.options.target_itl_ms / 1e3
                                                           : state.options.max_slowdown * alone_s;
  return std::max(0.0, limit_s - alone_s);
}

double predict_ttft_s(const SchedulerState& state, int num_rows, int priority) {
  if (!state.cost.is_known()) return 0.0;
  const Running running = look_at_running(state, priority);
  const WaitingQueue::Ahead ahead = state.queue.ahead_of(priority);
  const double rate = prefill_rate(state, running.decodes);
  const auto rows = static_cast<double>(running.prompt_rows + ahead.num_rows + num_rows);
  const double prefill_s = rate > 0.0 ? rows / rate : 0.0;
  // Places come free as requests end: one of them every mean_run_s / max_sequences.
  const int num_too_many =
      running.num_at_least + ahead.num_sequences + 1 - state.options.max_sequences;
  const double place_s = std::max(0, num_too_many) * state.mean_run_s / state.options.max_sequences;
  return std::max(
      prefill_s, place_s + state.cost.prefill_alone(num_rows, state.options.step_tokens)
  );
}

Admission admit(const SchedulerState& state, const Sequence& sequence, int num_rows) {
  Admission admission;
  const double ttft_s = predict_ttft_s(state, num_rows, sequence.priority);
  admission.predicted_ttft_ms = ttft_s * 1e3;
  const TimePoint first_due = std::min(sequence.ttft_deadline, sequence.deadline);
  const double due_s = first_due == kNever
                           ? std::numeric_limits<double>::infinity()
                           : std::chrono::duration<double>(first_due - state.now).count();
  const double alone_s = state.cost.prefill_alone(num_rows, state.options.step_tokens);
  if (due_s <= 0.0 || alone_s > due_s) {
    admission.refusal = ErrorCode::deadline_exceeded;
    return admission;
  }
  if (ttft_s > due_s) {
    admission.refusal = ErrorCode::overloaded;
    admission.retry_after_s = whole_seconds(ttft_s - due_s);
    return admission;
  }
  if (state.queue.size() + state.num_parked >= state.options.max_waiting) {
    admission.refusal = ErrorCode::rate_limit_exceeded;
    admission.retry_after_s = whole_seconds(ttft_s / 2.0);
  }
  return admission;
}

Error refusal_error(const Admission& admission) {
  const auto code = admission.refusal.value_or(ErrorCode::engine_error);
  const auto predicted = fmt::format("{:.0f} ms", admission.predicted_ttft_ms);
  const auto retry = std::chrono::seconds(static_cast<std::int64_t>(admission.retry_after_s));
  switch (code) {
    case ErrorCode::rate_limit_exceeded:
      return Error(code, fmt::format("the queue of requests is full; retry in {} s", retry.count()))
          .retry_after(retry);
    case ErrorCode::overloaded:
      return Error(
                 code,
                 fmt::format(
                     "the first token is predicted in {}, after the request's deadline; retry in "
                     "{} "
                     "s or allow more time",
                     predicted,
                     retry.count()
                 )
      )
          .retry_after(retry);
    default:
      return Error(
          code,
          "the request's deadline has passed or is shorter than its prompt takes alone (the first "
          "token is predicted in " +
              predicted + "); allow more time"
      );
  }
}

}  // namespace mlxs
