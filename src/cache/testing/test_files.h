// File systems for tests of the disk tier: one in memory that can lose what was not synced, and one
// that fails on demand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "cache/file_system.h"

namespace mlxs::testing {

// What stays when the program goes.
class MemoryDisk {
 public:
  struct File {
    std::vector<std::byte> contents = {};
    std::int64_t modified_ns = 0;
    bool is_synced = false;
  };
  using Names = std::map<std::string, std::shared_ptr<File>>;

  Names names = {};

  // Changes of names since the start are kept or lost, each by itself; files that were not synced
  // keep some of their blocks of 512 bytes, the others become zero, and their end may be missing.
  void crash(std::mt19937& random);

  // Does `change` now; crash() may forget it.
  void change(std::function<void(Names&)> change);

  std::int64_t clock_ns = 0;

 private:
  Names durable_ = {};
  std::vector<std::function<void(Names&)>> pending_ = {};
};

class MemoryFiles : public FileSystem {
 public:
  explicit MemoryFiles(MemoryDisk& disk) : disk_(disk) {}

  bool try_lock(const std::string& name) override;
  std::vector<FileEntry> list() override;
  std::vector<std::byte> read(const std::string& name, std::uint64_t max_bytes) override;
  void create(const std::string& name, std::span<const std::byte> contents) override;
  void sync(const std::string& name) override;
  void rename(const std::string& from, const std::string& to) override;
  void remove(const std::string& name) override;
  void touch(const std::string& name) override;

 private:
  MemoryDisk::File& find(const std::string& name);

  MemoryDisk& disk_;
};

// The calls from `first` to before `end` fail with `number`; a create() or rename() that fails may
// have been done in part.
struct FaultPlan {
  std::size_t first = 0;
  std::size_t end = 0;
  int number = 0;
  std::size_t num_calls = 0;  // counted
};

class FaultyFiles final : public MemoryFiles {
 public:
  FaultyFiles(MemoryDisk& disk, FaultPlan& plan) : MemoryFiles(disk), plan_(plan) {}

  std::vector<FileEntry> list() override;
  std::vector<std::byte> read(const std::string& name, std::uint64_t max_bytes) override;
  void create(const std::string& name, std::span<const std::byte> contents) override;
  void sync(const std::string& name) override;
  void rename(const std::string& from, const std::string& to) override;
  void remove(const std::string& name) override;
  void touch(const std::string& name) override;

 private:
  [[nodiscard]] bool is_failing();
  void maybe_fail();
  [[noreturn]] void fail() const;

  FaultPlan& plan_;
};

}  // namespace mlxs::testing
