#include "cache/disk_tier.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cache/file_system.h"
#include "cache/page_file.h"
#include "cache/page_key.h"
#include "cache/testing/test_files.h"
#include "cache/testing/test_scale.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

using testing::FaultPlan;
using testing::FaultyFiles;
using testing::MemoryDisk;
using testing::MemoryFiles;
using testing::scaled_count;

constexpr int kPageSize = 4;
constexpr std::uint64_t kBlock = 4096;

// A page of the text that `number` stands for: 1 or 2 pages deep, of about 2 KB.
struct TestPage {
  explicit TestPage(int number) : salt(static_cast<std::uint64_t>(number % 3)) {
    tokens.resize(static_cast<std::size_t>(kPageSize * (1 + number % 2)));
    std::iota(tokens.begin(), tokens.end(), 1000 * number);
    key = page_keys(tokens, salt, kPageSize).back();
    first.assign(1000 + static_cast<std::size_t>(number % 1000), std::byte(number % 251));
    second.assign(1000, std::byte(number % 7));
    groups = {first, second};
  }

  std::uint64_t salt;
  std::vector<std::int32_t> tokens = {};
  PageKey key = {};
  std::vector<std::byte> first = {};
  std::vector<std::byte> second = {};
  std::vector<std::span<const std::byte>> groups = {};
};

DiskTierOptions options(std::uint64_t num_blocks = 1000, int model = 1) {
  return {.model = {std::byte(model)}, .max_bytes = num_blocks * kBlock};
}

void store(DiskTier& tier, int number) {
  const TestPage page(number);
  tier.store(page.key, page.salt, page.tokens, page.groups);
}

// RETURNS: whether the page was there; what is there must be right.
bool load(DiskTier& tier, int number) {
  const TestPage page(number);
  const auto contents = tier.load(page.key, page.salt, page.tokens);
  if (!contents) return false;
  EXPECT_EQ(contents->groups.size(), 2U);
  EXPECT_TRUE(std::ranges::equal(contents->groups.at(0), page.first)) << number;
  EXPECT_TRUE(std::ranges::equal(contents->groups.at(1), page.second)) << number;
  return true;
}

std::unique_ptr<DiskTier> open(MemoryDisk& disk, const DiskTierOptions& given = options()) {
  return std::make_unique<DiskTier>(std::make_unique<MemoryFiles>(disk), given);
}

std::uint64_t bytes_on(const MemoryDisk& disk) {
  std::uint64_t total = 0;
  for (const auto& [name, file] : disk.names) {
    total += (file->contents.size() + kBlock - 1) / kBlock * kBlock;
  }
  return total;
}

class TempFolder {
 public:
  TempFolder() {
    std::string form = (std::filesystem::temp_directory_path() / "mlxs_tier_XXXXXX").string();
    path_ = ::mkdtemp(form.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

template <typename Function>
std::optional<Error> error_of(const Function& function) {
  try {
    function();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

TEST(PageFile, FindsEveryFlippedBitCutAndZeroedRun) {
  const TestPage page(5);
  const PageIdentity identity{.key = page.key, .salt = page.salt, .tokens = page.tokens};
  const std::array<std::byte, 9> small = {std::byte{1}};
  const std::vector<std::span<const std::byte>> groups = {small, {}};
  const std::vector<std::byte> file = encode_page(identity, groups);
  EXPECT_EQ(decode_page(file, identity).fault, PageFault::none);
  for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
    auto damaged = file;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    ASSERT_EQ(decode_page(damaged, identity).fault, PageFault::damaged) << bit;
  }
  for (std::size_t size = 0; size < file.size(); ++size) {
    auto damaged = file;
    damaged.resize(size);
    ASSERT_EQ(decode_page(damaged, identity).fault, PageFault::damaged) << size;
    damaged.resize(file.size());
    if (damaged == file) continue;  // it ended in zeros
    ASSERT_EQ(decode_page(damaged, identity).fault, PageFault::damaged) << size;
  }
}

TEST(PageFile, DoesNotUseLengthsThatDoNotAddUp) {
  const TestPage page(5);
  const PageIdentity identity{.key = page.key, .salt = page.salt, .tokens = page.tokens};
  const std::vector<std::byte> file = encode_page(identity, page.groups);
  std::mt19937_64 random(3);
  // Version 8, groups 12, tokens 80, bytes of the groups 88: with a checksum that is right.
  for (const std::size_t place : {8U, 12U, 80U, 88U, 96U}) {
    for (int i = 0; i < 100; ++i) {
      auto changed = file;
      const std::uint64_t value = random() >> (random() % 64);
      std::memcpy(changed.data() + place, &value, place < 80 ? 4 : 8);
      XXH128_canonical_t sum;
      XXH128_canonicalFromHash(&sum, XXH3_128bits(changed.data(), changed.size() - sizeof(sum)));
      std::memcpy(changed.data() + changed.size() - sizeof(sum), &sum, sizeof(sum));
      if (changed == file) continue;
      const PageFault fault = decode_page(changed, identity).fault;
      ASSERT_EQ(fault, place == 8 ? PageFault::version : PageFault::damaged) << place;
    }
  }
}

TEST(DiskTier, FindsPagesAfterARestart) {
  MemoryDisk disk;
  const std::vector<std::int32_t> tokens = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const auto keys = page_keys(tokens, 0, kPageSize);
  const TestPage any(1);
  {
    const auto tier = open(disk);
    EXPECT_EQ(tier->find(keys), 0U);
    for (const std::size_t page : {0U, 1U}) {
      tier->store(keys[page], 0, std::span(tokens).first(4 * (page + 1)), any.groups);
    }
  }
  const auto tier = open(disk);
  EXPECT_EQ(tier->find(keys), 2U);
  EXPECT_TRUE(tier->load(keys[1], 0, std::span(tokens).first(8)));
  EXPECT_FALSE(tier->load(keys[2], 0, tokens));
  const DiskTierStats stats = tier->stats();
  EXPECT_EQ(stats.hits, 1U);
  EXPECT_EQ(stats.misses, 1U);
  EXPECT_EQ(stats.num_pages, 2U);
  EXPECT_EQ(stats.num_bytes, bytes_on(disk));
}

TEST(DiskTier, NeverMixesSaltsTextsOrModels) {
  MemoryDisk disk;
  const TestPage page(4);
  const auto tier = open(disk);
  store(*tier, 4);
  EXPECT_EQ(tier->find(page_keys(page.tokens, page.salt + 1, kPageSize)), 0U);
  EXPECT_EQ(open(disk, options(1000, 2))->find({&page.key, 1}), 0U);
  EXPECT_FALSE(load(*open(disk, options(1000, 2)), 4));
  // As if two texts had one key.
  auto other = page.tokens;
  ++other.front();
  EXPECT_FALSE(tier->load(page.key, page.salt, other));
  EXPECT_EQ(tier->stats().dropped, 1U);
  store(*tier, 4);
  EXPECT_FALSE(tier->load(page.key, page.salt + 1, page.tokens));
}

TEST(DiskTier, DropsDamagedFiles) {
  std::mt19937 random(1);
  const std::size_t num_cases = scaled_count(10'000);
  for (std::size_t i = 0; i < num_cases; ++i) {
    MemoryDisk disk;
    auto tier = open(disk);
    store(*tier, 1);
    store(*tier, 2);
    auto& first = disk.names.begin()->second->contents;
    auto& second = std::next(disk.names.begin())->second->contents;
    const auto before = first;
    const std::size_t place = random() % first.size();
    switch (random() % 4) {
      case 0:
        first[place] ^= std::byte{1} << (random() % 8);
        break;
      case 1:
        first.resize(place);
        break;
      case 2:
        std::fill(first.begin() + static_cast<std::ptrdiff_t>(place), first.end(), std::byte{0});
        if (first == before) continue;
        break;
      default:
        std::swap(first, second);
    }
    const bool is_swapped = second == before;
    if (random() % 2 == 0) tier = open(disk);
    const int num_good = (load(*tier, 1) ? 1 : 0) + (load(*tier, 2) ? 1 : 0);
    ASSERT_EQ(num_good, is_swapped ? 0 : 1);
    ASSERT_EQ(disk.names.size(), static_cast<std::size_t>(num_good));
    ASSERT_EQ(tier->stats().dropped, is_swapped ? 2U : 1U);
    store(*tier, 1);
    ASSERT_TRUE(load(*tier, 1));
  }
}

TEST(DiskTier, StaysUnderItsCapByLeavingWhatWasUsedLeastRecently) {
  MemoryDisk disk;
  auto tier = open(disk, options(3));
  for (const int number : {1, 2, 3}) store(*tier, number);
  EXPECT_TRUE(load(*tier, 1));
  store(*tier, 4);
  EXPECT_FALSE(load(*tier, 2));
  EXPECT_LE(bytes_on(disk), 3 * kBlock);
  EXPECT_EQ(tier->stats().evicted, 1U);
  tier = open(disk, options(2));
  EXPECT_EQ(tier->stats().num_pages, 2U);
  EXPECT_EQ(bytes_on(disk), 2 * kBlock);
  EXPECT_TRUE(load(*tier, 1));
  EXPECT_TRUE(load(*tier, 4));
  EXPECT_TRUE(error_of([&] { open(disk, options(0)); }));
  const std::vector<std::byte> huge(3 * kBlock);
  const std::vector<std::span<const std::byte>> groups = {huge};
  tier->store({.high = 1}, 0, {}, groups);
  EXPECT_EQ(tier->stats().num_pages, 2U);
}

// One scenario: open, store beyond the cap, load. RETURNS: the calls it took.
std::size_t run_with_faults(MemoryDisk& disk, FaultPlan plan) {
  std::unique_ptr<DiskTier> tier;
  const auto refused = error_of([&] {
    tier = std::make_unique<DiskTier>(std::make_unique<FaultyFiles>(disk, plan), options(4));
  });
  if (refused) {
    EXPECT_EQ(refused->code(), ErrorCode::invalid_config);
    return plan.num_calls;
  }
  for (int number = 0; number < 8; ++number) {
    store(*tier, number);
    load(*tier, number / 2);
    EXPECT_LE(tier->stats().num_bytes, 4 * kBlock);
  }
  const DiskTierStats stats = tier->stats();
  EXPECT_EQ(stats.errors > 0, plan.num_calls > plan.first);
  const bool is_persistent = plan.end > plan.first + 1000;
  if (!is_persistent) {
    EXPECT_FALSE(stats.is_off);
  }
  return plan.num_calls;
}

TEST(DiskTier, NoFailureOfAnyCallReachesItsCaller) {
  std::size_t num_points = 0;
  for (const int number : {ENOSPC, EIO, EACCES, EROFS, EMFILE}) {
    for (const bool is_persistent : {false, true}) {
      MemoryDisk sound;
      std::size_t num_calls = run_with_faults(sound, {.first = SIZE_MAX, .end = SIZE_MAX});
      for (std::size_t first = 0; first < num_calls; ++first, ++num_points) {
        SCOPED_TRACE(::testing::Message() << number << " at " << first << ' ' << is_persistent);
        MemoryDisk disk;
        store(*open(disk), 20);
        const std::size_t end = is_persistent ? SIZE_MAX : first + 1;
        num_calls = std::max(
            num_calls, run_with_faults(disk, {.first = first, .end = end, .number = number})
        );
        // What is left is sound, whole and counted.
        const auto healed = open(disk);
        EXPECT_FALSE(disk.names.contains("unfinished"));
        for (int i = 0; i < 8; ++i) load(*healed, i);
        EXPECT_EQ(healed->stats().dropped, 0U);
        EXPECT_EQ(healed->stats().num_bytes, bytes_on(disk));
        if (::testing::Test::HasFailure()) return;
      }
    }
  }
  EXPECT_GE(num_points, 300U);
}

TEST(DiskTier, LeavesAFailingFolderAloneAndTriesAgainLater) {
  MemoryDisk disk;
  FaultPlan plan{.first = SIZE_MAX, .end = SIZE_MAX, .number = ENOSPC};
  DiskTier tier(std::make_unique<FaultyFiles>(disk, plan), options());
  store(tier, 1);
  plan.first = 0;
  for (int number = 2; number < 10; ++number) store(tier, number);
  EXPECT_TRUE(tier.stats().is_off);
  const TestPage page(1);
  EXPECT_EQ(tier.find({&page.key, 1}), 0U);
  const std::size_t num_calls = plan.num_calls;
  for (int i = 0; i < 100; ++i) store(tier, 2);
  EXPECT_EQ(plan.num_calls, num_calls);
  plan.first = SIZE_MAX;
  for (int i = 0; i < 1000; ++i) store(tier, 2);
  EXPECT_FALSE(tier.stats().is_off);
  EXPECT_TRUE(load(tier, 1));
  EXPECT_TRUE(load(tier, 2));
}

TEST(DiskTier, ACrashLeavesWholeFilesOrNone) {
  std::mt19937 random(5);
  const std::size_t num_schedules = scaled_count(2'000);
  std::size_t num_loaded = 0;
  for (std::size_t i = 0; i < num_schedules; ++i) {
    MemoryDisk disk;
    for (int round = 0; round < 3; ++round) {
      const auto tier = open(disk, options(6));
      ASSERT_FALSE(disk.names.contains("unfinished"));
      ASSERT_EQ(tier->stats().num_bytes, bytes_on(disk));
      const auto num_actions = static_cast<int>(random() % 20);
      for (int action = 0; action < num_actions; ++action) {
        const int number = static_cast<int>(random() % 12);
        if (random() % 2 == 0)
          store(*tier, number);
        else if (load(*tier, number))
          ++num_loaded;
      }
      ASSERT_EQ(tier->stats().dropped, 0U);  // what has a name was synced
      disk.crash(random);
    }
  }
  EXPECT_GT(num_loaded, num_schedules);
}

TEST(DiskTier, IgnoresWhatIsNotItsOwn) {
  const TempFolder folder;
  std::ofstream(folder.path() / "notes.txt") << "mine";
  std::ofstream(folder.path() / "0123456789ABCDEF0123456789ABCDEF") << "capitals";
  std::ofstream(folder.path() / "unfinished") << "rest";
  std::filesystem::create_directory(folder.path() / std::string(32, 'a'));
  std::filesystem::create_symlink(
      folder.path() / "notes.txt", folder.path() / std::string(32, 'b')
  );
  DiskTier tier(open_folder(folder.path()), options());
  EXPECT_EQ(tier.stats().num_pages, 0U);
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "notes.txt"));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "0123456789ABCDEF0123456789ABCDEF"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "unfinished"));
}

TEST(DiskTier, KeepsItsFilesToItselfAndFollowsNoLink) {
  const TempFolder parent;
  const auto path = parent.path() / "a" / "tier";
  DiskTier tier(open_folder(path), options());
  store(tier, 1);
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms::owner_all);
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    const auto kOwner = std::filesystem::perms::owner_read | std::filesystem::perms::owner_write;
    EXPECT_EQ(entry.status().permissions(), kOwner);
    if (entry.path().filename() == "lock") continue;
    EXPECT_EQ(entry.path().filename().string().size(), 32U);
    std::filesystem::rename(entry.path(), parent.path() / "elsewhere");
    std::filesystem::create_symlink(parent.path() / "elsewhere", entry.path());
  }
  EXPECT_FALSE(load(tier, 1));
  EXPECT_TRUE(std::filesystem::exists(parent.path() / "elsewhere"));
}

TEST(DiskTier, RefusesFoldersInWords) {
  const TempFolder folder;
  const DiskTier tier(open_folder(folder.path()), options());
  const auto second =
      error_of([&] { const DiskTier other(open_folder(folder.path()), options()); });
  ASSERT_TRUE(second);
  EXPECT_EQ(second->code(), ErrorCode::invalid_config);
  EXPECT_NE(std::string(second->what()).find("another process"), std::string::npos);
  const auto shared = folder.path() / "shared";
  std::filesystem::create_directory(shared);
  std::filesystem::permissions(shared, std::filesystem::perms(0755));
  std::ofstream(folder.path() / "file") << "x";
  for (const auto& path : {shared, folder.path() / "file"}) {
    const auto error = error_of([&] { (void)open_folder(path); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::invalid_config);
  }
}

TEST(DiskTier, AFolderThatVanishesIsAMiss) {
  const TempFolder parent;
  const auto path = parent.path() / "tier";
  DiskTier tier(open_folder(path), options());
  for (const int number : {1, 2, 3}) store(tier, number);
  std::filesystem::remove_all(path);
  for (int number = 1; number < 10; ++number) {
    EXPECT_FALSE(load(tier, number));
    store(tier, number);
  }
  EXPECT_TRUE(tier.stats().is_off);
}

// Ten thousand files, most of them damaged.
TEST(DiskTier, StartsWithThousandsOfDamagedFiles) {
  const TempFolder folder;
  const std::size_t num_files = scaled_count(100'000);
  std::mt19937_64 random(9);
  for (std::size_t i = 0; i < num_files; ++i) {
    const std::string name = std::to_string(1'000'000'000'000'000 + random() % 1'000'000'000) +
                             std::to_string(1'000'000'000'000'000 + i);
    std::ofstream(folder.path() / name) << std::string(random() % 100, 'x');
  }
  DiskTier tier(open_folder(folder.path()), options(num_files));
  const DiskTierStats stats = tier.stats();
  EXPECT_EQ(stats.num_pages + stats.dropped, num_files);
  store(tier, 1);
  EXPECT_TRUE(load(tier, 1));
}

[[noreturn]] void write_until_killed(const std::filesystem::path& folder, std::uint32_t seed) {
  std::mt19937 random(seed);
  DiskTier tier(open_folder(folder), options(20));
  while (true) {
    const int number = static_cast<int>(random() % 40);
    if (random() % 4 == 0)
      load(tier, number);
    else
      store(tier, number);
  }
}

TEST(DiskTier, AKilledWriterLeavesNothingWrong) {
  const TempFolder folder;
  const std::size_t num_kills = scaled_count(500);
  std::mt19937 random(11);
  std::size_t num_loaded = 0;
  for (std::size_t i = 0; i < num_kills; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) write_until_killed(folder.path(), static_cast<std::uint32_t>(i));
    std::this_thread::sleep_for(std::chrono::microseconds(2000 + random() % 20'000));
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    DiskTier tier(open_folder(folder.path()), options(20));
    ASSERT_FALSE(std::filesystem::exists(folder.path() / "unfinished"));
    std::uint64_t on_disk = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      on_disk += (entry.file_size() + kBlock - 1) / kBlock * kBlock;
    }
    ASSERT_EQ(tier.stats().num_bytes, on_disk);
    ASSERT_LE(on_disk, 20 * kBlock);
    for (int number = 0; number < 40; ++number) num_loaded += load(tier, number) ? 1 : 0;
    ASSERT_EQ(tier.stats().dropped, 0U);
  }
  EXPECT_GT(num_loaded, num_kills);
}

}  // namespace
}  // namespace mlxs
