// Threads that share the parts of a loop with the thread that asks for it. It knows nothing of MLX
// or of what is computed.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace mlxs {

// Thread safety: run() from one thread at a time.
// Invariants: whoever has claimed a part may read body_, as run() does not return before that part
// is done. A worker that wakes late finds no part left and touches nothing else, so run() never
// waits for a thread that does no work.
class WorkerTeam {
 public:
  // `num_threads` counts the calling thread; 0: as many as this process may use. Each worker is
  // pinned to a processor of its own where there are enough of them and the system allows it.
  explicit WorkerTeam(int num_threads);
  ~WorkerTeam();
  WorkerTeam(const WorkerTeam&) = delete;
  WorkerTeam& operator=(const WorkerTeam&) = delete;

  // Calls body(0) .. body(num_parts - 1), or body(part, thread) with thread < num_threads(), each
  // once, spread over the team as its threads become free, and waits for them: a barrier. It
  // allocates nothing. REQUIRES: num_parts < 65536; `body` may be called from several threads at
  // once and does not throw.
  template <typename Body>
  void run(int num_parts, const Body& body) {
    run_parts(num_parts, &body, [](const void* opaque, int part, int thread) {
      const auto& typed = *static_cast<const Body*>(opaque);
      if constexpr (std::is_invocable_v<const Body&, int, int>) {
        typed(part, thread);
      } else {
        static_cast<void>(thread);
        typed(part);
      }
    });
  }

  [[nodiscard]] int num_threads() const { return static_cast<int>(workers_.size()) + 1; }

 private:
  using Call = void (*)(const void* body, int part, int thread);

  void run_parts(int num_parts, const void* body, Call call);
  void serve(int thread);
  void take_parts(int thread);
  int claim();

  const void* body_ = nullptr;
  Call call_ = nullptr;
  // Apart from each other, as the threads write them at different times.
  alignas(64) std::atomic<std::uint64_t> ticket_{0};  // run << 32 | number of parts << 16 | next
  alignas(64) std::atomic<int> num_done_{0};          // parts of this run
  alignas(64) std::atomic<std::uint32_t> num_runs_{0};
  std::atomic<bool> is_stopping_{false};
  std::vector<std::thread> workers_;
};

// RETURNS: the processors that this process may use: its affinity mask, else all.
[[nodiscard]] int num_usable_processors();

}  // namespace mlxs
