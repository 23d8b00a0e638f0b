// Drives a KvCache by random actions on a pretended device whose pages hold, for each token, a
// number made of the salt and all tokens up to it. Any page shared wrongly, written while shared,
// released too early or matched wrongly shows as a wrong number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/page_layout.h"

namespace mlxs::testing {

class ModelCache {
 public:
  // RETURNS a number below its argument, which is above 0.
  using Choose = std::function<std::uint32_t(std::uint32_t)>;

  explicit ModelCache(const CacheLayout& layout);

  // One random action. ERRORS: std::logic_error that says what is wrong.
  void act(const Choose& choose);

  // ERRORS: std::logic_error where the cache does not hold together.
  void check() const { cache_.check(); }

  [[nodiscard]] std::size_t num_running() const { return sequences_.size(); }
  [[nodiscard]] std::uint64_t num_cached_tokens() const { return num_cached_tokens_; }
  [[nodiscard]] std::uint64_t num_refused() const { return num_refused_; }
  [[nodiscard]] std::uint64_t num_copies() const { return num_copies_; }

 private:
  struct Sequence {
    std::uint64_t salt = 0;
    std::vector<std::int32_t> tokens = {};
    std::vector<std::uint64_t> contents = {};  // what the page slot of each token must hold
    int num_written = 0;                       // computed, or in flight
    bool uses_cache = true;
  };
  using Running = std::map<SequenceId, Sequence>::iterator;

  void start(const Choose& choose);
  void run(const Choose& choose, Running running);
  void restore(const Choose& choose, Running running);
  void fork(Running running);
  void stop(const Choose& choose, Running running);

  void extend(Sequence& sequence, std::int32_t token) const;
  void expect_visible(const Sequence& sequence, const PageTables& tables, int position) const;
  void expect_private(SequenceId id, int group, std::int32_t page) const;
  void expect_matchable(const Sequence& sequence, int num_computed) const;
  [[nodiscard]] int longest_match(const Sequence& sequence) const;
  [[nodiscard]] std::uint64_t& slot(PageRef ref, int position);
  [[nodiscard]] std::uint64_t slot(PageRef ref, int position) const;
  void remember_computed(const Sequence& sequence, int num_computed);

  CacheLayout layout_;
  KvCache cache_;
  std::map<SequenceId, Sequence> sequences_;
  SequenceId next_id_ = 1;
  std::vector<std::vector<std::uint64_t>> device_;  // [group][page * page_size + slot]
  std::map<std::uint64_t, bool> computed_;          // contents that were ever marked as computed
  std::uint64_t num_cached_tokens_ = 0;
  std::uint64_t num_refused_ = 0;
  std::uint64_t num_copies_ = 0;
};

}  // namespace mlxs::testing
