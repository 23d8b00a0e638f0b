#include "cache/testing/test_files.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace mlxs::testing {
namespace {

constexpr std::size_t kSectorBytes = 512;

[[noreturn]] void throw_error(int number) {
  throw std::system_error(number, std::generic_category(), "test");
}

void tear(std::vector<std::byte>& contents, std::mt19937& random) {
  for (std::size_t begin = 0; begin < contents.size(); begin += kSectorBytes) {
    if (random() % 2 == 0) continue;
    const std::size_t end = std::min(contents.size(), begin + kSectorBytes);
    std::fill(
        contents.begin() + static_cast<std::ptrdiff_t>(begin),
        contents.begin() + static_cast<std::ptrdiff_t>(end),
        std::byte{0}
    );
  }
  if (random() % 2 == 0) contents.resize(random() % (contents.size() + 1));
}

}  // namespace

void MemoryDisk::change(std::function<void(Names&)> change) {
  change(names);
  pending_.push_back(std::move(change));
}

void MemoryDisk::crash(std::mt19937& random) {
  for (const auto& change : std::exchange(pending_, {})) {
    if (random() % 4 != 0) change(durable_);
  }
  for (auto& [name, file] : durable_) {
    if (!std::exchange(file->is_synced, true)) tear(file->contents, random);
  }
  names = durable_;
}

bool MemoryFiles::try_lock(const std::string& /*name*/) { return true; }

std::vector<FileEntry> MemoryFiles::list() {
  std::vector<FileEntry> entries;
  for (const auto& [name, file] : disk_.names) {
    entries.push_back(
        {.name = name, .num_bytes = file->contents.size(), .modified_ns = file->modified_ns}
    );
  }
  return entries;
}

MemoryDisk::File& MemoryFiles::find(const std::string& name) {
  const auto found = disk_.names.find(name);
  if (found == disk_.names.end()) throw_error(ENOENT);
  return *found->second;
}

std::vector<std::byte> MemoryFiles::read(const std::string& name, std::uint64_t max_bytes) {
  const MemoryDisk::File& file = find(name);
  if (file.contents.size() > max_bytes) throw_error(EFBIG);
  return file.contents;
}

void MemoryFiles::create(const std::string& name, std::span<const std::byte> contents) {
  if (disk_.names.contains(name)) throw_error(EEXIST);
  auto file = std::make_shared<MemoryDisk::File>();
  file->contents.assign(contents.begin(), contents.end());
  file->modified_ns = ++disk_.clock_ns;
  disk_.change([name, file](MemoryDisk::Names& names) { names[name] = file; });
}

void MemoryFiles::sync(const std::string& name) { find(name).is_synced = true; }

// A folder's entries are files, not names: what is renamed is the file that had the name then.
void MemoryFiles::rename(const std::string& from, const std::string& to) {
  find(from);
  disk_.change([from, to, file = disk_.names.at(from)](MemoryDisk::Names& names) {
    names[to] = file;
    const auto old = names.find(from);
    if (old != names.end() && old->second == file) names.erase(old);
  });
}

void MemoryFiles::remove(const std::string& name) {
  find(name);
  disk_.change([name](MemoryDisk::Names& names) { names.erase(name); });
}

void MemoryFiles::touch(const std::string& name) { find(name).modified_ns = ++disk_.clock_ns; }

bool FaultyFiles::is_failing() {
  const std::size_t call = plan_.num_calls++;
  return call >= plan_.first && call < plan_.end;
}

void FaultyFiles::fail() const { throw_error(plan_.number); }

void FaultyFiles::maybe_fail() {
  if (is_failing()) fail();
}

std::vector<FileEntry> FaultyFiles::list() {
  maybe_fail();
  return MemoryFiles::list();
}
std::vector<std::byte> FaultyFiles::read(const std::string& name, std::uint64_t max_bytes) {
  maybe_fail();
  return MemoryFiles::read(name, max_bytes);
}
void FaultyFiles::create(const std::string& name, std::span<const std::byte> contents) {
  const bool fails = is_failing();
  MemoryFiles::create(name, fails ? contents.first(contents.size() / 2) : contents);
  if (fails) fail();
}
void FaultyFiles::sync(const std::string& name) {
  maybe_fail();
  MemoryFiles::sync(name);
}
void FaultyFiles::rename(const std::string& from, const std::string& to) {
  const bool fails = is_failing();
  if (!fails || plan_.num_calls % 2 == 0) MemoryFiles::rename(from, to);
  if (fails) fail();
}
void FaultyFiles::remove(const std::string& name) {
  maybe_fail();
  MemoryFiles::remove(name);
}
void FaultyFiles::touch(const std::string& name) {
  maybe_fail();
  MemoryFiles::touch(name);
}

}  // namespace mlxs::testing
