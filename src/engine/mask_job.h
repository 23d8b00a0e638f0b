// The mask of one sequence's next token: computed on another thread while the device runs the step
// that samples the token, or by whoever needs it first.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "mlx_serving/error.h"

namespace mlxs {

// Thread safety: all members may be called from any thread at once.
class MaskJob {
 public:
  // Fills words that are all 0. ERRORS: Error, which is kept, and then no token may come.
  using Compute = std::function<void(std::span<std::uint32_t> words)>;

  // `compute` is called once at most, on any thread.
  MaskJob(std::size_t num_words, Compute compute);

  // RETURNS: the words, once they are there; what nobody has begun is computed here. A bit for each
  // token that may come: id i is bit i % 32 of word i / 32.
  [[nodiscard]] std::span<const std::uint32_t> words();

  // RETURNS: what went wrong. Waits as words() does.
  [[nodiscard]] const std::optional<Error>& error();

 private:
  void compute_once();

  std::once_flag once_;
  Compute compute_;
  std::vector<std::uint32_t> words_;
  std::optional<Error> error_;
};

// Threads that compute masks ahead of who needs them.
//
// Thread safety: all members may be called from any thread at once.
class MaskWorkers {
 public:
  explicit MaskWorkers(int num_threads);
  ~MaskWorkers();
  MaskWorkers(const MaskWorkers&) = delete;
  MaskWorkers& operator=(const MaskWorkers&) = delete;

  // Where more wait than fit, whoever needs the mask computes it.
  void add(std::shared_ptr<MaskJob> job);

 private:
  BoundedQueue<std::shared_ptr<MaskJob>> queue_;
  std::vector<std::thread> threads_;
};

}  // namespace mlxs
