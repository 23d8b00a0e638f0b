// Answers to requests with an Idempotency-Key, so that one that is sent again is answered again and
// not run again.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/thread_annotations.h"
#include "server/http/message.h"
#include "server/http/sha256.h"

namespace mlxs {

struct ReplyMemoryLimits {
  std::size_t max_replies = 1024;
  std::size_t max_bytes = std::size_t{64} << 20;       // of all bodies together
  std::size_t max_reply_bytes = std::size_t{4} << 20;  // a larger one is not kept
  std::chrono::seconds life{600};
};

// Thread safety: all members from any thread.
class ReplyMemory {
 public:
  explicit ReplyMemory(const ReplyMemoryLimits& limits = {}) : limits_(limits) {}

  // Claims `name` for a request. RETURNS: the answer that was kept; nothing where the request is to
  // be run, which then ends with keep() or forget().
  // ERRORS: HttpError 409 where the first one still runs, 422 where it was a different request.
  [[nodiscard]] std::optional<HttpResponse> claim(const std::string& name, const Sha256& request);
  void keep(const std::string& name, HttpResponse response);
  void forget(const std::string& name);

  [[nodiscard]] const ReplyMemoryLimits& limits() const { return limits_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    std::string name;
    Sha256 request{};
    std::optional<HttpResponse> response;  // none: it still runs
    Clock::time_point made_at;
  };
  using Entries = std::list<Entry>;

  void erase(Entries::iterator entry) MLXS_REQUIRES(mutex_);
  void trim() MLXS_REQUIRES(mutex_);

  const ReplyMemoryLimits limits_;
  Mutex mutex_;
  Entries entries_ MLXS_GUARDED_BY(mutex_);  // the oldest first
  std::unordered_map<std::string, Entries::iterator> by_name_ MLXS_GUARDED_BY(mutex_);
  std::size_t num_bytes_ MLXS_GUARDED_BY(mutex_) = 0;
};

}  // namespace mlxs
