// Signals by sigwait() on a thread; SIGUSR2 wakes that thread for its end.
#include "cli/interrupts.h"

#include <signal.h>

#include <csignal>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "base/thread_annotations.h"

namespace mlxs {
namespace {

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR2}) sigaddset(&set, signal);
  return set;
}

}  // namespace

Interrupts::Listener Interrupts::listen(Handler handler) {
  return {*this, handle_with(std::move(handler))};
}

void Interrupts::deliver(int signal) {
  MutexLock lock(mutex_);
  if (!handler_) end_process(signal);
  // Called under the lock, so that what it refers to is alive: its listener's end waits for it.
  handler_(signal);
}

void Interrupts::end_process(int signal) {
  // Not exit(): other threads are in the middle of their work.
  std::_Exit(128 + signal);
}

Interrupts::Handler Interrupts::handle_with(Handler handler) {
  MutexLock lock(mutex_);
  return std::exchange(handler_, std::move(handler));
}

SignalWatcher::SignalWatcher(Interrupts& interrupts) {
  const sigset_t set = watched_signals();
  if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
    throw std::system_error(error, std::generic_category(), "signals cannot be blocked");
  }
  thread_ = std::thread([this, &interrupts, set] {
    while (!is_stopping_) {
      int signal = 0;
      if (sigwait(&set, &signal) == 0 && signal != SIGUSR2) interrupts.deliver(signal);
    }
  });
}

SignalWatcher::~SignalWatcher() {
  is_stopping_ = true;
  pthread_kill(thread_.native_handle(), SIGUSR2);
  thread_.join();
}

}  // namespace mlxs
