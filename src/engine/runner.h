// What the engine's core knows of a model: it runs batches, one after another. MlxRunner is the
// real one, FakeRunner the tests'.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/batch.h"

namespace mlxs {

// A step that was handed to the device.
//
// Thread safety: used and destroyed on the device thread only.
class Submission {
 public:
  Submission() = default;
  virtual ~Submission() = default;
  Submission(const Submission&) = delete;
  Submission& operator=(const Submission&) = delete;

  // Waits until the step is done, well or not, but not longer than `timeout`.
  // RETURNS: whether it is done.
  [[nodiscard]] virtual bool wait_for(std::chrono::nanoseconds timeout) = 0;

  // RETURNS: one token per sample, after every error of the device has arrived.
  // REQUIRES: wait_for() returned true; called once.
  // ERRORS: any exception means that nothing of this step may be used.
  [[nodiscard]] virtual StepResult take() = 0;
};

enum class KernelTiming { off, on };

// What the kernels of one kind took, all threads waiting for each other.
struct KernelTime {
  std::string_view name = {};
  std::chrono::nanoseconds duration{0};
  std::int64_t num_calls = 0;
};

// Thread safety: created, used and destroyed on the device thread only.
class Runner {
 public:
  Runner() = default;
  virtual ~Runner() = default;
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Hands a batch to the device and returns without waiting for it. Batches run in the order in
  // which they were submitted, also after one that failed. What the batch points to is read before
  // this returns. Batch::feeds may name any step whose Submission still lives.
  // ERRORS: any exception means that the batch does not run.
  [[nodiscard]] virtual std::unique_ptr<Submission> submit(const Batch& batch) = 0;

  // RETURNS: the keys and values of a page, as write_page() takes them, after everything that was
  // submitted before. The size is the group's page_bytes(), fixed for a runner's life.
  // ERRORS: any exception: the content is not known.
  [[nodiscard]] virtual std::vector<std::byte> read_page(int group, std::int32_t page) = 0;

  // Fills a page, before everything that is submitted later. ERRORS: std::invalid_argument where
  // the size is not a page's.
  virtual void write_page(int group, std::int32_t page, std::span<const std::byte> content) = 0;

  [[nodiscard]] virtual std::int64_t page_bytes(int group) const = 0;

  // Where kernels can be timed, they are from now on, or no longer; it costs a clock's reading
  // each.
  virtual void time_kernels(KernelTiming timing) { static_cast<void>(timing); }
  // RETURNS: the times since the last call, by kind, those without any left out.
  [[nodiscard]] virtual std::vector<KernelTime> take_kernel_times() { return {}; }
};

}  // namespace mlxs
