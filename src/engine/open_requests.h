// How many requests are open, and the promise that each of them gets a finish, whatever happens on
// the way.
#pragma once

#include <chrono>
#include <memory>

#include "base/thread_annotations.h"
#include "engine/event_stream.h"
#include "mlx_serving/event.h"
#include "telemetry/collector.h"
#include "text/output_delta.h"

namespace mlxs {

// Thread safety: all members may be called from any thread.
class OpenRequests {
 public:
  using Clock = std::chrono::steady_clock;

  explicit OpenRequests(int max_open) : max_open_(max_open) {}

  // RETURNS: false where there would be more than max_open with `count` more; none is added then.
  [[nodiscard]] bool try_add(int count);
  void remove();

  [[nodiscard]] int count() const;
  // RETURNS: when the engine last got work after it had none.
  [[nodiscard]] Clock::time_point busy_since() const;
  // RETURNS: whether none is open, at `deadline` at the latest.
  [[nodiscard]] bool wait_until_none(Clock::time_point deadline);

 private:
  const int max_open_;
  mutable Mutex mutex_;
  ConditionVariable none_;
  int count_ MLXS_GUARDED_BY(mutex_) = 0;
  Clock::time_point busy_since_ MLXS_GUARDED_BY(mutex_) = Clock::now();
};

// The engine's end of one request. Wherever it is dropped without a finish, the reader gets
// `shutting_down`.
//
// Thread safety: moved from thread to thread, used by one at a time.
class Ticket {
 public:
  // REQUIRES: open->try_add() counted it.
  Ticket(
      std::shared_ptr<OpenRequests> open,
      std::shared_ptr<EventStream> stream,
      RequestMeter meter = {}
  );
  ~Ticket();
  Ticket(Ticket&&) noexcept = default;
  Ticket& operator=(Ticket&&) = delete;
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

  [[nodiscard]] EventStream& stream() { return *stream_; }
  [[nodiscard]] const RequestMeter& meter() const { return meter_; }
  [[nodiscard]] OpenRequests::Clock::time_point submitted_at() const { return submitted_at_; }

  // Ends the request; the ticket is spent.
  void finish(Finish finish, const OutputDelta& last = {});
  void fail(const Error& error);

 private:
  std::shared_ptr<OpenRequests> open_;
  std::shared_ptr<EventStream> stream_;  // null: spent
  RequestMeter meter_;
  OpenRequests::Clock::time_point submitted_at_ = OpenRequests::Clock::now();
};

}  // namespace mlxs
