// An index in memory over files that are named by their page's key.
#include "cache/disk_tier.h"

#include <spdlog/fmt/fmt.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/log.h"
#include "cache/file_system.h"
#include "cache/page_file.h"
#include "cache/page_key.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr const char* kLockName = "lock";
constexpr const char* kUnfinishedName = "unfinished";
constexpr std::uint64_t kBlockBytes = 4096;
constexpr std::size_t kHexDigits = 16;  // of half a name
constexpr int kMaxFailures = 3;         // in a row, before the folder is left alone
constexpr int kCallsBeforeRetry = 1000;

std::uint64_t on_disk(std::uint64_t num_bytes) {
  return (num_bytes / kBlockBytes + (num_bytes % kBlockBytes == 0 ? 0 : 1)) * kBlockBytes;
}

std::string file_name(const PageKey& name) {
  return fmt::format("{:016x}{:016x}", name.high, name.low);
}

std::optional<std::uint64_t> parse_hex(std::string_view digits) {
  std::uint64_t value = 0;
  const char* const begin = std::to_address(digits.begin());
  const char* const end = begin + digits.size();
  const auto [stop, error] = std::from_chars(begin, end, value, 16);
  if (stop != end || error != std::errc()) return std::nullopt;
  return value;
}

// RETURNS: nothing where file_name() does not give this.
std::optional<PageKey> parse_name(std::string_view name) {
  if (name.size() != 2 * kHexDigits) return std::nullopt;
  const auto high = parse_hex(name.substr(0, kHexDigits));
  const auto low = parse_hex(name.substr(kHexDigits));
  if (!high || !low) return std::nullopt;
  const PageKey key{.high = *high, .low = *low};
  if (file_name(key) != name) return std::nullopt;  // capitals, a sign
  return key;
}

// The file is gone, or something else has its name: not a failure of the disk.
bool is_gone(const std::system_error& error) {
  const int number = error.code().value();
  return number == ENOENT || number == ELOOP || number == EFBIG || number == ENXIO;
}

DiskTierOptions checked(const DiskTierOptions& options) {
  if (options.max_bytes < kBlockBytes) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format("the prefix cache folder may hold {} bytes: too few", options.max_bytes)
    );
  }
  return options;
}

}  // namespace

DiskTier::DiskTier(std::unique_ptr<FileSystem> files, const DiskTierOptions& options)
    : files_(std::move(files)), options_(checked(options)) {
  try {
    if (!files_->try_lock(kLockName)) {
      throw Error(
          ErrorCode::invalid_config,
          "the prefix cache folder is used by another process; give each process its own folder"
      );
    }
    scan();
  } catch (const std::system_error& error) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format("the prefix cache folder cannot be used: {}", error.what())
    );
  }
}

void DiskTier::scan() {
  std::vector<FileEntry> found = files_->list();
  std::ranges::sort(found, [](const FileEntry& a, const FileEntry& b) {
    return std::pair(a.modified_ns, a.name) < std::pair(b.modified_ns, b.name);
  });
  for (const FileEntry& file : found) take_over(file);
  attempt([this] { make_room(0); });
}

void DiskTier::take_over(const FileEntry& file) {
  if (file.name == kUnfinishedName) clean_up(file.name);
  const auto name = parse_name(file.name);
  if (!name) return;
  add({.name = *name, .num_bytes = file.num_bytes});
  if (file.num_bytes == 0 || file.num_bytes > options_.max_page_bytes) {
    drop(std::prev(entries_.end()));
  }
}

// Models of which one has been in the folder before another do not know each other's files.
PageKey DiskTier::name_of(const PageKey& key) const {
  std::vector<std::byte> bytes(options_.model.begin(), options_.model.end());
  const auto key_bytes = std::as_bytes(std::span(&key, 1));
  bytes.insert(bytes.end(), key_bytes.begin(), key_bytes.end());
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {.high = hash.high64, .low = hash.low64};
}

std::size_t DiskTier::find(std::span<const PageKey> keys) const {
  if (stats_.is_off) return 0;
  const auto is_missing = [this](const PageKey& key) { return !places_.contains(name_of(key)); };
  return static_cast<std::size_t>(std::ranges::find_if(keys, is_missing) - keys.begin());
}

std::optional<PageContents> DiskTier::load(
    const PageKey& key, std::uint64_t salt, std::span<const std::int32_t> tokens
) {
  const auto found = places_.find(name_of(key));
  if (found == places_.end() || !may_try()) {
    ++stats_.misses;
    return std::nullopt;
  }
  const Place place = found->second;
  const std::string name = file_name(place->name);
  DecodedPage page{.fault = PageFault::damaged, .contents = {}};
  const bool is_read = attempt([&] {
    try {
      std::vector<std::byte> file = files_->read(name, place->num_bytes);
      page = decode_page(
          std::move(file), {.model = options_.model, .key = key, .salt = salt, .tokens = tokens}
      );
    } catch (const std::system_error& error) {
      if (!is_gone(error)) throw;
    }
  });
  if (is_read && page.fault == PageFault::none) {
    ++stats_.hits;
    entries_.splice(entries_.end(), entries_, place);
    attempt([&] { files_->touch(name); });
    return std::move(page.contents);
  }
  ++stats_.misses;
  if (is_read) drop(place);
  return std::nullopt;
}

void DiskTier::store(
    const PageKey& key,
    std::uint64_t salt,
    std::span<const std::int32_t> tokens,
    std::span<const std::span<const std::byte>> groups
) {
  const PageKey name = name_of(key);
  if (const auto found = places_.find(name); found != places_.end()) {
    entries_.splice(entries_.end(), entries_, found->second);
    return;
  }
  std::vector<std::uint64_t> group_bytes;
  for (const auto group : groups) group_bytes.push_back(group.size());
  const auto num_bytes = page_file_bytes(tokens.size(), group_bytes);
  const std::uint64_t max_bytes = std::min(options_.max_page_bytes, options_.max_bytes);
  if (!num_bytes || *num_bytes > max_bytes || on_disk(*num_bytes) > options_.max_bytes) return;
  if (!may_try()) return;
  const Entry entry{.name = name, .num_bytes = *num_bytes};
  const std::vector<std::byte> file =
      encode_page({.model = options_.model, .key = key, .salt = salt, .tokens = tokens}, groups);
  if (!attempt([&] { write(entry, file); })) {
    clean_up(kUnfinishedName);
    clean_up(file_name(name));  // a rename that failed may have been done
    return;
  }
  add(entry);
  ++stats_.stored;
}

// Under its name a file is whole: it is synced before it gets it.
void DiskTier::write(const Entry& entry, std::span<const std::byte> file) {
  if (std::exchange(has_leftover_, false)) clean_up(kUnfinishedName);
  make_room(on_disk(entry.num_bytes));
  files_->create(kUnfinishedName, file);
  files_->sync(kUnfinishedName);
  files_->rename(kUnfinishedName, file_name(entry.name));
}

void DiskTier::make_room(std::uint64_t num_bytes) {
  while (!entries_.empty() && stats_.num_bytes > options_.max_bytes - num_bytes) {
    const Place oldest = entries_.begin();
    try {
      files_->remove(file_name(oldest->name));
    } catch (const std::system_error& error) {
      if (!is_gone(error)) throw;
    }
    forget(oldest);
    ++stats_.evicted;
  }
}

// A file that is not what it should be must not come back after a restart, either; where it cannot
// be removed, its checksum tells then.
void DiskTier::drop(Place place) {
  const std::string name = file_name(place->name);
  ++stats_.dropped;
  forget(place);
  clean_up(name);
}

void DiskTier::clean_up(const std::string& name) {
  try {
    files_->remove(name);
  } catch (const std::system_error& error) {
    if (is_gone(error)) return;
    if (name == kUnfinishedName) has_leftover_ = true;
    ++stats_.errors;
  }
}

void DiskTier::add(const Entry& entry) {
  places_.emplace(entry.name, entries_.insert(entries_.end(), entry));
  stats_.num_bytes += on_disk(entry.num_bytes);
}

void DiskTier::forget(Place place) {
  stats_.num_bytes -= on_disk(place->num_bytes);
  places_.erase(place->name);
  entries_.erase(place);
}

// RETURNS: false while the folder is left alone.
bool DiskTier::may_try() {
  if (!stats_.is_off) return true;
  num_skipped_ = (num_skipped_ + 1) % kCallsBeforeRetry;
  return num_skipped_ == 0;
}

// RETURNS: whether `operation` did not fail.
bool DiskTier::attempt(const std::function<void()>& operation) {
  try {
    operation();
  } catch (const std::system_error& error) {
    note_failure(error.what());
    return false;
  }
  num_failures_ = 0;
  if (std::exchange(stats_.is_off, false)) is_failure_told_ = false;
  return true;
}

void DiskTier::note_failure(const char* what) {
  ++stats_.errors;
  ++num_failures_;
  if (num_failures_ >= kMaxFailures) stats_.is_off = true;
  if (std::exchange(is_failure_told_, true)) return;
  log_warning("the prefix cache folder fails: {}; pages that it lacks are computed again", what);
}

DiskTierStats DiskTier::stats() const {
  DiskTierStats result = stats_;
  result.num_pages = entries_.size();
  return result;
}

}  // namespace mlxs
