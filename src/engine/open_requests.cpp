// Counting under one lock.
#include "engine/open_requests.h"

#include <condition_variable>
#include <memory>
#include <utility>

#include "base/thread_annotations.h"
#include "engine/event_stream.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "telemetry/collector.h"
#include "text/output_delta.h"

namespace mlxs {

bool OpenRequests::try_add(int count) {
  MutexLock lock(mutex_);
  if (count > max_open_ - count_) return false;
  if (count_ == 0) busy_since_ = Clock::now();
  count_ += count;
  return true;
}

void OpenRequests::remove() {
  {
    MutexLock lock(mutex_);
    --count_;
    if (count_ > 0) return;
  }
  none_.notify_all();
}

int OpenRequests::count() const {
  MutexLock lock(mutex_);
  return count_;
}

OpenRequests::Clock::time_point OpenRequests::busy_since() const {
  MutexLock lock(mutex_);
  return busy_since_;
}

bool OpenRequests::wait_until_none(Clock::time_point deadline) {
  MutexLock lock(mutex_);
  while (count_ > 0) {
    if (none_.wait_until(mutex_, deadline) == std::cv_status::timeout) break;
  }
  return count_ == 0;
}

Ticket::Ticket(
    std::shared_ptr<OpenRequests> open, std::shared_ptr<EventStream> stream, RequestMeter meter
)
    : open_(std::move(open)), stream_(std::move(stream)), meter_(std::move(meter)) {}

Ticket::~Ticket() {
  if (stream_)
    fail(
        Error(ErrorCode::shutting_down, "the engine is shutting down; send the request again later")
    );
}

// The counts come first, so that a reader who saw the finish never finds its request still open, or
// missing in the figures.
void Ticket::finish(Finish finish, const OutputDelta& last) {
  meter_.finish(finish, OpenRequests::Clock::now() - submitted_at_);
  open_->remove();
  std::exchange(stream_, nullptr)->finish(std::move(finish), last);
}

void Ticket::fail(const Error& error) { finish({.reason = FinishReason::error, .error = error}); }

}  // namespace mlxs
