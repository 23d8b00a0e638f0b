// Clang's thread-safety annotations, and a mutex that carries them; elsewhere they vanish.
// Reference: https://clang.llvm.org/docs/ThreadSafetyAnalysis.html
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define MLXS_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define MLXS_THREAD_ATTRIBUTE(x)
#endif

#define MLXS_CAPABILITY(name) MLXS_THREAD_ATTRIBUTE(capability(name))
#define MLXS_SCOPED_CAPABILITY MLXS_THREAD_ATTRIBUTE(scoped_lockable)
#define MLXS_GUARDED_BY(mutex) MLXS_THREAD_ATTRIBUTE(guarded_by(mutex))
#define MLXS_REQUIRES(...) MLXS_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define MLXS_EXCLUDES(...) MLXS_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define MLXS_ACQUIRE(...) MLXS_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define MLXS_RELEASE(...) MLXS_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))

namespace mlxs {

class MLXS_CAPABILITY("mutex") Mutex {
 public:
  void lock() MLXS_ACQUIRE() { mutex_.lock(); }
  void unlock() MLXS_RELEASE() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

// Holds a Mutex for a scope.
class MLXS_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) MLXS_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() MLXS_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits on a Mutex that the caller holds. Callers loop over their condition, so that the analysis
// sees the lock.
using ConditionVariable = std::condition_variable_any;

}  // namespace mlxs
