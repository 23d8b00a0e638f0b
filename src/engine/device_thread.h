// The one thread of the process that runs MLX: created with the first engine, joined with the last.
// Engines take turns on it step by step. Its registry is the one process-wide object of the project
// (design: MLX's allocator and streams are the process's, too).
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "base/thread_annotations.h"
#include "engine/doorbell.h"

namespace mlxs {

// What takes turns on the device thread.
class DeviceWorker {
 public:
  virtual ~DeviceWorker() = default;

  // Does one step. RETURNS: false where there was nothing to do.
  // ERRORS: must not throw.
  virtual bool step() = 0;
};

// Thread safety: all public members may be called from any thread but the device thread itself.
class DeviceThread {
 public:
  // RETURNS: the process's device thread, started if there is none.
  [[nodiscard]] static std::shared_ptr<DeviceThread> acquire();

  DeviceThread();
  ~DeviceThread();
  DeviceThread(const DeviceThread&) = delete;
  DeviceThread& operator=(const DeviceThread&) = delete;

  // Runs `task` on the device thread, between steps, and waits for it. ERRORS: what `task` throws.
  void run(std::function<void()> task);

  // A worker takes its turns from attach() until detach() has returned.
  void attach(DeviceWorker& worker);
  void detach(DeviceWorker& worker);

  // Ring it when a worker may have something to do.
  [[nodiscard]] const std::shared_ptr<Doorbell>& bell() const { return bell_; }

 private:
  void loop();
  void run_tasks();

  const std::shared_ptr<Doorbell> bell_ = std::make_shared<Doorbell>();
  std::atomic<bool> is_stopping_ = false;
  Mutex mutex_;
  std::deque<std::packaged_task<void()>> tasks_ MLXS_GUARDED_BY(mutex_);
  std::vector<DeviceWorker*> workers_;  // of the device thread alone
  std::thread thread_;
};

}  // namespace mlxs
