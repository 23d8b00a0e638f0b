// Ids, the set of connections and the escaping of log text.
#include "server/http/service.h"

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "base/thread_annotations.h"
#include "server/http/connection.h"

namespace mlxs {
namespace {

// SplitMix64's finaliser: a bijection, so that different inputs never give equal ids.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

std::uint64_t random_bits() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

}  // namespace

IdSource::IdSource() : key_(random_bits()) {}

std::string IdSource::next(std::string_view prefix) {
  const std::uint64_t count = ++count_;
  return fmt::format(
      "{}{:016x}{:016x}", prefix, mix(key_ ^ mix(count)), mix(key_ + count * 0x9E3779B97F4A7C15ULL)
  );
}

bool ConnectionSet::add(const std::shared_ptr<Connection>& connection) {
  MutexLock lock(mutex_);
  if (closed_) return false;
  connections_.emplace(connection.get(), connection);
  return true;
}

void ConnectionSet::remove(const Connection* connection) {
  MutexLock lock(mutex_);
  connections_.erase(connection);
}

void ConnectionSet::close_all() {
  MutexLock lock(mutex_);
  closed_ = true;
  for (const auto& entry : connections_) entry.second->close_soon();
}

std::size_t ConnectionSet::size() const {
  MutexLock lock(mutex_);
  return connections_.size();
}

std::string log_safe(std::string_view text, std::size_t max_bytes) {
  std::string safe;
  for (const char c : text.substr(0, max_bytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F && c != '"' && c != '\\') {
      safe += c;
    } else {
      safe += fmt::format("\\x{:02x}", byte);
    }
  }
  if (text.size() > max_bytes) safe += "...";
  return safe;
}

}  // namespace mlxs
