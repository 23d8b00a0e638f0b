// Between the pages of the device and the files of the persistent tier: brings what a prompt has on
// disk into the prefix cache before the prompt starts, and hands over what finished sequences have
// left there, a few pages a turn.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cache/kv_cache.h"
#include "engine/persistent_tier.h"
#include "engine/runner.h"

namespace mlxs {

// Whose pages they are: the cache in memory numbers its salts, files know them by salt_of().
struct TierSalts {
  std::uint64_t in_memory = 0;
  std::uint64_t on_disk = 0;
};

// Thread safety: none; the device thread owns it.
class TierLink {
 public:
  // `wake` is called from another thread when a load is done.
  TierLink(
      std::unique_ptr<DiskTier> disk, KvCache& cache, Runner& runner, std::function<void()> wake
  );

  // Asks for what the disk has of a prompt beyond what is cached. RETURNS: false where there is
  // nothing to ask for; otherwise finish_load() names `id` some time later.
  [[nodiscard]] bool begin_load(
      std::uint64_t id, std::span<const std::int32_t> prompt, const TierSalts& salts
  );

  // Puts the pages of a load that is done into the prefix cache. RETURNS: its id.
  [[nodiscard]] std::optional<std::uint64_t> finish_load();

  // The keys and values of these tokens are in the prefix cache and are to be kept.
  void remember(std::span<const std::int32_t> tokens, const TierSalts& salts);

  // Hands a few of them to the disk. RETURNS: whether there was something to do.
  bool write_some();

  // Hands over everything and waits for the disk. RETURNS: whether all was written in time.
  bool flush(std::chrono::milliseconds timeout);

  [[nodiscard]] DiskTierStats stats() const { return tier_.stats(); }

 private:
  struct Finished {
    std::vector<std::int32_t> tokens = {};  // whole pages, and one token more where there is one
    TierSalts salts = {};
    int next_page = 0;
  };

  void put(const LoadedPages& loaded, std::uint64_t salt);
  [[nodiscard]] bool fill(const LoadedPages& loaded, int first_page);
  [[nodiscard]] bool hand_over(Finished& finished);
  [[nodiscard]] std::vector<std::vector<std::byte>> read_page(int page);

  KvCache& cache_;
  Runner& runner_;
  const int page_size_;
  std::unordered_map<std::uint64_t, std::uint64_t> salts_of_loads_;
  std::deque<Finished> finished_;
  std::unordered_set<std::uint64_t> on_disk_;  // names of pages that were handed over or loaded
  PersistentTier tier_;
};

}  // namespace mlxs
