// Times are accounted at each event, so that a state costs nothing while it lasts.
#include "engine/submission_ring.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <utility>

#include "base/fault_point.h"
#include "engine/batch.h"
#include "engine/runner.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr int kMaxCapacity = 8;

SubmissionRingOptions checked(const SubmissionRingOptions& options) {
  if (options.capacity < 1 || options.capacity > kMaxCapacity) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format("in_flight_steps must be 1 to {}, got {}", kMaxCapacity, options.capacity)
    );
  }
  if (options.timeout <= std::chrono::milliseconds(0))
    throw Error(ErrorCode::invalid_config, "step_timeout must be positive");
  return options;
}

double milliseconds(SubmissionRing::Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace

SubmissionRing::SubmissionRing(SubmissionRingOptions options, Now now)
    : options_(checked(options)), now_(std::move(now)) {}

void SubmissionRing::account(Clock::time_point now) {
  if (stats_.num_submitted > 0) {
    const double elapsed = milliseconds(now - last_event_);
    if (!in_flight_.empty()) {
      stats_.busy_ms += elapsed;
    } else if (has_pending_work_) {
      stats_.idle_ms += elapsed;
    }
    occupancy_ms_ += elapsed * num_in_flight();
    observed_ms_ += elapsed;
  }
  last_event_ = now;
}

void SubmissionRing::submit(Runner& runner, const Batch& batch) {
  if (is_full()) throw std::logic_error("SubmissionRing::submit: the ring is full");
  fault_point("runner.submit");
  std::unique_ptr<Submission> submission = runner.submit(batch);
  const Clock::time_point now = now_();
  account(now);
  in_flight_.push_back(
      {.step = batch.step,
       .num_rows = batch.token_ids.size(),
       .submitted_at = now,
       .submission = std::move(submission)}
  );
  has_pending_work_ = true;
  ++stats_.num_submitted;
}

CollectedStep SubmissionRing::collect() {
  if (is_empty()) throw std::logic_error("SubmissionRing::collect: nothing is in flight");
  InFlight& oldest = in_flight_.front();
  const Clock::time_point begin = std::max(oldest.submitted_at, last_end_);
  const Clock::time_point called = now_();
  CollectedStep collected{.step = oldest.step, .num_rows = oldest.num_rows};
  bool is_done = oldest.submission->wait_for(std::chrono::nanoseconds(0));
  if (!is_done) {
    ++stats_.num_waits;
    is_done = oldest.submission->wait_for(
        std::max<Clock::duration>(begin + options_.timeout - called, Clock::duration(1))
    );
  }
  const Clock::time_point end = now_();
  stats_.wait_ms += milliseconds(end - called);
  account(end);
  if (!is_done) {
    ++stats_.num_timeouts;
    collected.outcome = CollectedStep::Outcome::timed_out;
  } else {
    try {
      fault_point("runner.take");
      collected.result = oldest.submission->take();
      ++stats_.num_completed;
    } catch (...) {
      ++stats_.num_failed;
      collected.outcome = CollectedStep::Outcome::failed;
      collected.error = std::current_exception();
    }
  }
  collected.duration = std::chrono::duration_cast<std::chrono::nanoseconds>(end - begin);
  last_end_ = end;
  in_flight_.pop_front();
  return collected;
}

void SubmissionRing::pause() {
  account(now_());
  has_pending_work_ = false;
}

SubmissionRingStats SubmissionRing::stats() const {
  SubmissionRingStats stats = stats_;
  stats.num_in_flight = num_in_flight();
  stats.mean_occupancy = observed_ms_ > 0.0 ? occupancy_ms_ / observed_ms_ : 0.0;
  return stats;
}

}  // namespace mlxs
