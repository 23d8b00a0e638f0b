// The steps that are on the device: a bounded number, in order. What a pool of command buffers is
// for, on every back end: it keeps the device fed without letting work pile up, tells a hung step
// from a slow one, and counts. It schedules nothing and never looks into a batch.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>

#include "engine/runner.h"

namespace mlxs {

struct SubmissionRingOptions {
  int capacity = 2;                            // steps in flight at most; 1: no overlap
  std::chrono::milliseconds timeout{300'000};  // of one step, from when it could begin
};

struct SubmissionRingStats {
  int num_in_flight = 0;
  std::uint64_t num_submitted = 0;
  std::uint64_t num_completed = 0;  // well
  std::uint64_t num_failed = 0;     // with an error of the device
  std::uint64_t num_timeouts = 0;
  std::uint64_t num_waits = 0;  // collect() found its step not done yet: the host was ahead
  double wait_ms = 0.0;         // of the host for the device
  double busy_ms = 0.0;         // the device had a step
  double idle_ms = 0.0;  // it had none although work was pending: between a step's end and the next
                         // submission, unless pause() said that there was nothing to do
  double mean_occupancy = 0.0;  // steps in flight, weighted with time, since the first submission

  // RETURNS: idle time over all time with work, in [0, 1].
  [[nodiscard]] double idle_share() const {
    return busy_ms + idle_ms > 0.0 ? idle_ms / (busy_ms + idle_ms) : 0.0;
  }
};

// How the oldest step ended.
struct CollectedStep {
  enum class Outcome { completed, failed, timed_out };

  std::uint64_t step = 0;
  std::uint64_t num_rows = 0;  // of its batch
  Outcome outcome = Outcome::completed;
  StepResult result = {};                // completed
  std::exception_ptr error = {};         // failed: what the device said
  std::chrono::nanoseconds duration{0};  // from when it could begin: the later of its submission
                                         // and the end of the step before
};

// Thread safety: none; the device thread owns it.
// Invariants: at most `capacity` steps are in flight; they are collected in order of submission.
class SubmissionRing {
 public:
  using Clock = std::chrono::steady_clock;
  using Now = std::function<Clock::time_point()>;

  // `now` is the clock; tests pass their own. ERRORS: invalid_config for a capacity outside of
  // [1, 8] or a timeout that is not positive.
  explicit SubmissionRing(SubmissionRingOptions options, Now now = Clock::now);

  [[nodiscard]] bool is_full() const { return num_in_flight() == options_.capacity; }
  [[nodiscard]] bool is_empty() const { return in_flight_.empty(); }
  [[nodiscard]] int num_in_flight() const { return static_cast<int>(in_flight_.size()); }

  // Submits through `runner`. REQUIRES: !is_full(). ERRORS: what Runner::submit() throws; the step
  // is not in flight then.
  void submit(Runner& runner, const Batch& batch);

  // Waits for the oldest step and takes it out. A step that timed out is given up: what it still
  // does on the device is ignored. REQUIRES: !is_empty().
  [[nodiscard]] CollectedStep collect();

  // There is nothing to run: the time until the next submission is not the device's idle time.
  void pause();

  [[nodiscard]] SubmissionRingStats stats() const;

 private:
  struct InFlight {
    std::uint64_t step = 0;
    std::uint64_t num_rows = 0;
    Clock::time_point submitted_at;
    std::unique_ptr<Submission> submission;
  };

  // Adds the time since the last event to the statistics.
  void account(Clock::time_point now);

  const SubmissionRingOptions options_;
  const Now now_;
  std::deque<InFlight> in_flight_;
  Clock::time_point last_end_;     // of the newest collected step
  Clock::time_point last_event_;   // up to which times are accounted
  bool has_pending_work_ = false;  // since the last submission, until pause()
  double occupancy_ms_ = 0.0;      // steps in flight times milliseconds
  double observed_ms_ = 0.0;
  SubmissionRingStats stats_;
};

}  // namespace mlxs
