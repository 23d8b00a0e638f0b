// Lets a coroutine sleep until an engine thread has something for it.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>

#include "base/thread_annotations.h"
#include "server/http/task.h"

namespace mlxs {

// Thread safety: the function that waker() returns may be called from any thread and at any time,
// also when the signal is gone; all else on the executor only. Invariant: nothing outside of the
// signal's life touches its executor.
class WakeSignal {
 public:
  explicit WakeSignal(const Executor& executor);
  ~WakeSignal();
  WakeSignal(const WakeSignal&) = delete;
  WakeSignal& operator=(const WakeSignal&) = delete;

  [[nodiscard]] std::function<void()> waker() const;

  // Returns once the waker was called since the last wait. ERRORS: boost::system::system_error
  // where the coroutine is cancelled.
  Task<void> wait();

 private:
  // What the waker holds. `signal` is null once the signal is gone.
  struct Link {
    Mutex mutex;
    WakeSignal* signal MLXS_GUARDED_BY(mutex) = nullptr;
    bool is_posted MLXS_GUARDED_BY(mutex) = false;  // a wake is on its way to the executor
  };

  static void wake(const std::shared_ptr<Link>& link);
  static void arrive(Link& link);

  boost::asio::steady_timer timer_;  // never expires; cancelled to wake
  bool is_woken_ = false;
  std::shared_ptr<Link> link_;
};

}  // namespace mlxs
