// Wakes a thread that has nothing to do. A ring that comes before the wait is not lost.
#pragma once

#include "base/thread_annotations.h"

namespace mlxs {

// Thread safety: any thread may ring; one thread waits.
class Doorbell {
 public:
  void ring() {
    {
      MutexLock lock(mutex_);
      is_rung_ = true;
    }
    rung_.notify_one();
  }

  // Waits for a ring and takes it.
  void wait() {
    MutexLock lock(mutex_);
    while (!is_rung_) rung_.wait(mutex_);
    is_rung_ = false;
  }

 private:
  Mutex mutex_;
  ConditionVariable rung_;
  bool is_rung_ MLXS_GUARDED_BY(mutex_) = false;
};

}  // namespace mlxs
