// API keys: who they belong to and what each may do. Only their SHA-256 is kept.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_annotations.h"
#include "server/http/sha256.h"

namespace spdlog {
// NOLINTNEXTLINE(readability-identifier-naming): the library's name
class logger;
}  // namespace spdlog

namespace mlxs {

struct ApiKey {
  std::string name;
  Sha256 digest{};
  int max_open = 0;     // requests that may run at once; 0: no limit
  double weight = 0.0;  // of its share of the device; 0: not stated, as the engine has it
};

// Lines of `NAME SHA256 [max_open=N] [weight=X]`; empty lines and lines that begin with # are
// passed over. RETURNS: the keys. ERRORS: Error(invalid_config) with `path` and the number of the
// line.
[[nodiscard]] std::vector<ApiKey> parse_api_keys(std::string_view text, const std::string& path);

// Thread safety: all members from any thread.
class KeyRing {
 public:
  // `key` is one more key, named "default"; empty: none. `path` is a file of keys, which is read
  // again when it changes; empty: none. A file that has become wrong is logged, and the keys before
  // it stay. ERRORS: Error(io_error), Error(invalid_config).
  KeyRing(const std::string& key, std::string path, std::shared_ptr<spdlog::logger> logger);

  // RETURNS: whether requests need a key at all.
  [[nodiscard]] bool asks() const { return has_key_ || !path_.empty(); }

  // RETURNS: the key that `presented` is. Takes as long for every text of one length.
  [[nodiscard]] std::optional<ApiKey> find(std::string_view presented);

 private:
  using Clock = std::chrono::steady_clock;

  void reload_when_changed() MLXS_REQUIRES(mutex_);

  const bool has_key_;
  const std::string path_;
  const std::shared_ptr<spdlog::logger> logger_;
  std::optional<ApiKey> own_key_;
  Mutex mutex_;
  std::vector<ApiKey> keys_ MLXS_GUARDED_BY(mutex_);
  std::filesystem::file_time_type changed_at_ MLXS_GUARDED_BY(mutex_);
  Clock::time_point checked_at_ MLXS_GUARDED_BY(mutex_);
};

}  // namespace mlxs
