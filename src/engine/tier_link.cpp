// Pages are read and written between two calls of the scheduler, under a sequence id that no
// request has.
#include "engine/tier_link.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/page_key.h"
#include "cache/page_layout.h"

namespace mlxs {
namespace {

constexpr SequenceId kTierSequence = std::numeric_limits<SequenceId>::max();
constexpr int kPagesPerTurn = 4;
constexpr std::size_t kMaxFinished = 1024;                // sequences that wait to be written
constexpr std::size_t kMaxKnown = std::size_t{1} << 20U;  // names; beyond, all are forgotten

}  // namespace

TierLink::TierLink(
    std::unique_ptr<DiskTier> disk, KvCache& cache, Runner& runner, std::function<void()> wake
)
    : cache_(cache),
      runner_(runner),
      page_size_(cache.layout().page_size),
      tier_(std::move(disk), page_size_, std::move(wake)) {}

bool TierLink::begin_load(
    std::uint64_t id, std::span<const std::int32_t> prompt, const TierSalts& salts
) {
  const int num_cached = cache_.look_up(prompt, salts.in_memory).cached_tokens;
  // The last token's row runs in any case.
  const int num_pages = (static_cast<int>(prompt.size()) - 1) / page_size_;
  if (num_cached / page_size_ >= num_pages) return false;
  const auto num_tokens = static_cast<std::size_t>(num_pages * page_size_);
  salts_of_loads_.emplace(id, salts.in_memory);
  tier_.load(
      {.id = id,
       .salt = salts.on_disk,
       .tokens = {prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(num_tokens)},
       .first_page = num_cached / page_size_}
  );
  return true;
}

std::optional<std::uint64_t> TierLink::finish_load() {
  const std::optional<LoadedPages> loaded = tier_.try_take_loaded();
  if (!loaded) return std::nullopt;
  const auto salt = salts_of_loads_.extract(loaded->load.id);
  if (!loaded->pages.empty()) put(*loaded, salt.mapped());
  return loaded->load.id;
}

void TierLink::put(const LoadedPages& loaded, std::uint64_t salt) {
  const int num_pages = loaded.load.first_page + static_cast<int>(loaded.pages.size());
  const int num_tokens = num_pages * page_size_;
  const auto tokens = std::span(loaded.load.tokens).first(static_cast<std::size_t>(num_tokens));
  const int first_page = cache_.start(kTierSequence, tokens, salt, UseCache::yes) / page_size_;
  // What was cached when the load began may have been evicted since.
  const bool is_filled = first_page >= loaded.load.first_page &&
                         cache_.restore(kTierSequence, num_tokens) && fill(loaded, first_page);
  if (is_filled) cache_.mark_computed(kTierSequence, tokens, num_tokens);
  cache_.stop(kTierSequence, is_filled ? Keep::cached : Keep::nothing);
}

bool TierLink::fill(const LoadedPages& loaded, int first_page) {
  const PageTables& tables = cache_.tables(kTierSequence);
  for (std::size_t i = 0; i < loaded.pages.size(); ++i) {
    const int page = loaded.load.first_page + static_cast<int>(i);
    if (page < first_page) continue;
    for (std::size_t group = 0; group < tables.groups.size(); ++group) {
      const std::int32_t to = tables.groups[group].at(static_cast<std::size_t>(page));
      if (to == kNoPage) continue;
      const std::span<const std::byte> content = loaded.pages[i].groups.at(group);
      const auto size = static_cast<std::size_t>(runner_.page_bytes(static_cast<int>(group)));
      if (content.size() != size) return false;
      runner_.write_page(static_cast<int>(group), to, content);
    }
  }
  return true;
}

void TierLink::remember(std::span<const std::int32_t> tokens, const TierSalts& salts) {
  const auto page_size = static_cast<std::size_t>(page_size_);
  const std::size_t num_tokens = tokens.size() / page_size * page_size;
  if (num_tokens == 0 || finished_.size() >= kMaxFinished) return;
  if (on_disk_.size() > kMaxKnown) on_disk_.clear();
  const std::vector<PageKey> keys = page_keys(tokens.first(num_tokens), salts.on_disk, page_size_);
  int first_new = 0;
  for (const PageKey& key : keys) {
    if (!on_disk_.contains(key.low)) break;
    ++first_new;
  }
  if (first_new == static_cast<int>(keys.size())) return;
  for (const PageKey& key : keys) on_disk_.insert(key.low);
  const std::size_t end = std::min(tokens.size(), num_tokens + 1);
  finished_.push_back(
      {.tokens = {tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(end)},
       .salts = salts,
       .next_page = first_new}
  );
}

bool TierLink::write_some() {
  if (finished_.empty()) return false;
  if (!hand_over(finished_.front())) finished_.pop_front();
  return true;
}

// RETURNS: whether more of it is to be handed over.
bool TierLink::hand_over(Finished& finished) {
  const int num_pages = static_cast<int>(finished.tokens.size()) / page_size_;
  // An equal sequence that is there already, so pages are only read.
  (void)cache_.start(kTierSequence, finished.tokens, finished.salts.in_memory, UseCache::yes);
  const auto& tables = cache_.tables(kTierSequence).groups;
  std::size_t num_there = tables.front().size();
  for (const auto& table : tables) num_there = std::min(num_there, table.size());
  const int end =
      std::min({num_pages, static_cast<int>(num_there), finished.next_page + kPagesPerTurn});
  TierStore store{
      .salt = finished.salts.on_disk, .tokens = {}, .first_page = finished.next_page, .pages = {}
  };
  while (finished.next_page < end) store.pages.push_back(read_page(finished.next_page++));
  cache_.stop(kTierSequence, Keep::cached);
  if (store.pages.empty()) return false;
  store.tokens.assign(finished.tokens.begin(), finished.tokens.begin() + end * page_size_);
  return tier_.store(std::move(store)) && finished.next_page < num_pages;
}

std::vector<std::vector<std::byte>> TierLink::read_page(int page) {
  std::vector<std::vector<std::byte>> groups;
  const auto& tables = cache_.tables(kTierSequence).groups;
  for (std::size_t group = 0; group < tables.size(); ++group) {
    const std::int32_t from = tables[group][static_cast<std::size_t>(page)];
    groups.push_back(
        from == kNoPage ? std::vector<std::byte>()
                        : runner_.read_page(static_cast<int>(group), from)
    );
  }
  return groups;
}

bool TierLink::flush(std::chrono::milliseconds timeout) {
  while (write_some()) {
  }
  return tier_.flush(timeout);
}

}  // namespace mlxs
