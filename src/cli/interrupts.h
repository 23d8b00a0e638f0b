// Ctrl-C and SIGTERM as ordinary calls. SignalWatcher takes the signals from the system; Interrupts
// hands them to the command that listens. No code of ours runs in a signal handler.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "base/thread_annotations.h"

namespace mlxs {

// Thread safety: all members may be called from any thread.
class Interrupts {
 public:
  using Handler = std::function<void(int signal)>;

  // Listens until it is destroyed.
  class Listener {
   public:
    explicit Listener(Interrupts& interrupts) : interrupts_(interrupts) {}
    ~Listener() { interrupts_.clear(); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

   private:
    Interrupts& interrupts_;
  };

  // `handler` is called on the watcher's thread for the first signal; a second one, or any that
  // nobody listens to, ends the process at once with the exit code 128 + signal. It must not call
  // back into this.
  [[nodiscard]] Listener listen(Handler handler);

  // A signal came.
  void deliver(int signal);

 private:
  void clear();

  Mutex mutex_;
  Handler handler_ MLXS_GUARDED_BY(mutex_);
};

// Watches for SIGINT and SIGTERM on a thread of its own. REQUIRES: made before the process has
// other threads, so that all of them inherit the blocked signals.
class SignalWatcher {
 public:
  explicit SignalWatcher(Interrupts& interrupts);
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

 private:
  std::atomic<bool> is_stopping_ = false;
  std::thread thread_;
};

}  // namespace mlxs
