// How many requests of each API key run.
#pragma once

#include <string>
#include <unordered_map>

#include "base/thread_annotations.h"
#include "server/http/message.h"

namespace mlxs {

// Thread safety: all members from any thread.
class OpenCounts {
 public:
  // Counts one request of `owner`. ERRORS: HttpError 429 with Retry-After where `max_open`, which
  // is not 0, run already.
  void enter(const std::string& owner, int max_open);
  void leave(const std::string& owner);

 private:
  Mutex mutex_;
  std::unordered_map<std::string, int> counts_ MLXS_GUARDED_BY(mutex_);
};

}  // namespace mlxs
