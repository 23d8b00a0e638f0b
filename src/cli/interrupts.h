// Ctrl-C and SIGTERM as ordinary calls. SignalWatcher takes the signals from the system; Interrupts
// hands them to the command that listens. No code of ours runs in a signal handler.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <utility>

#include "base/thread_annotations.h"

namespace mlxs {

// Thread safety: all members may be called from any thread.
class Interrupts {
 public:
  using Handler = std::function<void(int signal)>;

  // Listens until it is destroyed; then the listener before it does again.
  class Listener {
   public:
    ~Listener() { interrupts_.handle_with(std::move(previous_)); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

   private:
    friend class Interrupts;
    Listener(Interrupts& interrupts, Handler previous)
        : interrupts_(interrupts), previous_(std::move(previous)) {}

    Interrupts& interrupts_;
    Handler previous_;
  };

  // `handler` is called on the watcher's thread for each signal. It must not call back into this.
  // A signal that nobody listens to ends the process at once, see end_process().
  [[nodiscard]] Listener listen(Handler handler);

  // A signal came.
  void deliver(int signal);

  // Ends the process with the exit code 128 + signal, whatever its threads are doing.
  [[noreturn]] static void end_process(int signal);

 private:
  Handler handle_with(Handler handler);

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
