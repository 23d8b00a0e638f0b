// A runner without a model, for tests of everything around one: the next token is a function of the
// tokens that it reads back from the sequence's pages, so that a mix-up of pages, positions or
// neighbours changes the text.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "engine/runner.h"

namespace mlxs {

struct FakeRunnerOptions {
  int num_pages = 64;
  int page_size = 4;
  std::int32_t eos_id = 256;
  int num_output_tokens = 0;               // the token after so many is eos_id; 0: never
  std::chrono::milliseconds step_time{0};  // slept in each step
  // Called before each step with its number, from 0; may throw as a device would.
  std::function<void(std::uint64_t step)> before_step = {};
  // Called with the finished result; may change it.
  std::function<void(const Batch&, StepResult&)> after_step = {};
};

// Thread safety: as Runner's.
class FakeRunner final : public Runner {
 public:
  explicit FakeRunner(FakeRunnerOptions options);

  // ERRORS: std::logic_error where a slice does not continue what its pages hold.
  [[nodiscard]] StepResult run(const Batch& batch) override;

  // RETURNS: the token, a lower-case letter's byte, that follows `token_ids`.
  [[nodiscard]] static std::int32_t next_token(
      std::span<const std::int32_t> token_ids, std::uint64_t seed
  );

 private:
  // RETURNS: where the pages hold the token at `position`.
  [[nodiscard]] std::size_t slot(const BatchSlice& slice, int position) const;
  void store(const Batch& batch, const BatchSlice& slice);
  [[nodiscard]] std::vector<std::int32_t> read(const BatchSlice& slice) const;

  FakeRunnerOptions options_;
  std::vector<std::int32_t> slots_;  // [num_pages * page_size] token ids, -1: never written
  std::uint64_t step_ = 0;
};

}  // namespace mlxs
