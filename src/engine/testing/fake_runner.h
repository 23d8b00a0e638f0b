// A runner without a model, for tests of everything around one: its pages hold token ids, and each
// row first reads back all that it sees, so that a mix-up of pages, positions, steps or neighbours
// is found. The next token is a function of the sequence's tokens, and of what its mask allows.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "cache/page_layout.h"
#include "engine/runner.h"

namespace mlxs {

struct FakeRunnerOptions {
  int num_pages = 64;
  int page_size = 4;
  std::vector<PageGroup> groups = {};  // empty: one group of num_pages, without a window
  std::int32_t eos_id = 256;
  int num_output_tokens = 0;               // the token after so many is eos_id; 0: never
  std::chrono::milliseconds step_time{0};  // slept in each step
  // Called before each step with its number, from 0; may throw as a device would.
  std::function<void(std::uint64_t step)> before_step = {};
  // Called with the finished result; may change it.
  std::function<void(const Batch&, StepResult&)> after_step = {};

  // RETURNS: `groups`, or the one group that num_pages stands for.
  [[nodiscard]] CacheLayout layout() const;
};

// Steps run when they are waited for, in the order of submission.
//
// Thread safety: as Runner's.
class FakeRunner final : public Runner {
 public:
  explicit FakeRunner(FakeRunnerOptions options);
  ~FakeRunner() override;

  [[nodiscard]] std::unique_ptr<Submission> submit(const Batch& batch) override;
  [[nodiscard]] std::vector<std::byte> read_page(int group, std::int32_t page) override;
  void write_page(int group, std::int32_t page, std::span<const std::byte> content) override;
  [[nodiscard]] std::int64_t page_bytes(int group) const override;

  // RETURNS: the token, a lower-case letter's byte, that follows `token_ids`.
  [[nodiscard]] static std::int32_t next_token(
      std::span<const std::int32_t> token_ids, std::uint64_t seed
  );
  // RETURNS: the one of the tokens that a mask allows; 0 where it allows none.
  [[nodiscard]] static std::int32_t allowed_token(
      std::span<const std::uint32_t> mask,
      std::span<const std::int32_t> token_ids,
      std::uint64_t seed
  );

 private:
  struct Step;
  class Handle;

  void run_until(const Step& last);
  void run(Step& step);
  void move_pages(const Batch& batch);
  void store(const Step& step, const BatchSlice& slice);
  void feed(Step& step) const;
  static void tell_extras(Step& step);
  void expect_visible(
      const Step& step, const BatchSample& sample, std::span<const std::int32_t> ids
  ) const;
  [[nodiscard]] std::vector<std::int32_t> tokens_of(const Step& step, const BatchSample& sample)
      const;
  [[nodiscard]] std::span<std::int32_t> page(int group, std::int32_t page);

  FakeRunnerOptions options_;
  CacheLayout layout_;
  std::vector<std::vector<std::int32_t>> slots_;  // [group][page * S + offset]: token id, -1: none
  std::map<std::pair<int, std::int32_t>, std::vector<std::int32_t>> host_slots_;
  std::deque<std::shared_ptr<Step>> steps_;  // those that may still be fed from, oldest first
  std::uint64_t num_run_ = 0;
};

}  // namespace mlxs
