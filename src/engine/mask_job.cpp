// Every mask is computed exactly once, whoever comes first.
#include "engine/mask_job.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxWaiting = 4096;

}  // namespace

MaskJob::MaskJob(std::size_t num_words, Compute compute)
    : compute_(std::move(compute)), words_(num_words) {}

void MaskJob::compute_once() {
  std::call_once(once_, [this] {
    try {
      compute_(words_);
    } catch (const Error& error) {
      error_ = error;
    } catch (const std::exception& error) {
      error_ = Error(
          ErrorCode::engine_error, std::string("a constraint's mask failed: ") + error.what()
      );
    }
    if (error_) std::ranges::fill(words_, 0);
    compute_ = {};
  });
}

std::span<const std::uint32_t> MaskJob::words() {
  compute_once();
  return words_;
}

const std::optional<Error>& MaskJob::error() {
  compute_once();
  return error_;
}

MaskWorkers::MaskWorkers(int num_threads) : queue_(kMaxWaiting) {
  for (int i = 0; i < num_threads; ++i) {
    threads_.emplace_back([this] {
      while (const auto job = queue_.pop()) static_cast<void>((*job)->words());
    });
  }
}

MaskWorkers::~MaskWorkers() {
  queue_.close();
  while (queue_.try_pop()) {
  }
  for (std::thread& thread : threads_) thread.join();
}

void MaskWorkers::add(std::shared_ptr<MaskJob> job) {
  static_cast<void>(queue_.try_push(std::move(job)));
}

}  // namespace mlxs
