// The loop: tasks first, then a turn for each worker, then sleep if nobody had work.
#include "engine/device_thread.h"

#include <functional>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"

namespace mlxs {

std::shared_ptr<DeviceThread> DeviceThread::acquire() {
  static Mutex mutex;
  static std::weak_ptr<DeviceThread> current;
  MutexLock lock(mutex);
  auto thread = current.lock();
  if (!thread) {
    thread = std::make_shared<DeviceThread>();
    current = thread;
  }
  return thread;
}

DeviceThread::DeviceThread() : thread_([this] { loop(); }) {}

DeviceThread::~DeviceThread() {
  is_stopping_.store(true);
  bell_->ring();
  thread_.join();
}

void DeviceThread::run(std::function<void()> task) {
  std::packaged_task<void()> packaged(std::move(task));
  auto done = packaged.get_future();
  {
    MutexLock lock(mutex_);
    tasks_.push_back(std::move(packaged));
  }
  bell_->ring();
  done.get();
}

void DeviceThread::attach(DeviceWorker& worker) {
  run([this, &worker] { workers_.push_back(&worker); });
}

void DeviceThread::detach(DeviceWorker& worker) {
  run([this, &worker] { std::erase(workers_, &worker); });
}

void DeviceThread::run_tasks() {
  while (true) {
    std::packaged_task<void()> task;
    {
      MutexLock lock(mutex_);
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

void DeviceThread::loop() {
  while (!is_stopping_.load()) {
    run_tasks();
    bool has_worked = false;
    for (DeviceWorker* worker : workers_) has_worked = worker->step() || has_worked;
    if (!has_worked) bell_->wait();
  }
  run_tasks();
}

}  // namespace mlxs
