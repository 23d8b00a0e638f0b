// Threads that share the parts of a loop with the thread that asks for it. It knows nothing of MLX
// or of what is computed.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace mlxs {

// Thread safety: run() from one thread at a time.
// Invariants: whoever has claimed a part may read body_, as run() does not return before that part
// is done. A worker that wakes late finds no part left and touches nothing else, so run() never
// waits for a thread that does no work.
class WorkerTeam {
 public:
  // `num_threads` counts the calling thread; 0: as many as the machine has.
  explicit WorkerTeam(int num_threads);
  ~WorkerTeam();
  WorkerTeam(const WorkerTeam&) = delete;
  WorkerTeam& operator=(const WorkerTeam&) = delete;

  // Calls body(0) .. body(num_parts - 1), each once, spread over the team as its threads become
  // free, and waits for them. REQUIRES: num_parts < 65536; `body` may be called from several
  // threads at once and does not throw.
  void run(int num_parts, const std::function<void(int)>& body);

  [[nodiscard]] int num_threads() const { return static_cast<int>(workers_.size()) + 1; }

 private:
  void serve();
  void take_parts();
  int claim();

  const std::function<void(int)>* body_ = nullptr;
  std::atomic<std::uint64_t> ticket_{0};  // run() number << 32 | number of parts << 16 | next part
  std::atomic<std::uint32_t> num_runs_{0};
  std::atomic<int> num_done_{0};  // parts of this run
  std::atomic<bool> is_stopping_{false};
  std::vector<std::thread> workers_;
};

}  // namespace mlxs
