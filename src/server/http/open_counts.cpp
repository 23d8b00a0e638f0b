// A key without open requests has no entry.
#include "server/http/open_counts.h"

#include <string>

#include "base/thread_annotations.h"
#include "mlx_serving/error.h"
#include "server/http/message.h"

namespace mlxs {

void OpenCounts::enter(const std::string& owner, int max_open) {
  MutexLock lock(mutex_);
  const auto found = counts_.find(owner);
  const int count = found == counts_.end() ? 0 : found->second;
  if (max_open > 0 && count >= max_open) {
    throw HttpError(fault_of(Error(
        ErrorCode::rate_limit_exceeded,
        "the API key " + owner + " has " + std::to_string(count) +
            " open requests, as many as it may have; wait for one"
    )));
  }
  counts_[owner] = count + 1;
}

void OpenCounts::leave(const std::string& owner) {
  MutexLock lock(mutex_);
  const auto found = counts_.find(owner);
  if (--found->second == 0) counts_.erase(found);
}

}  // namespace mlxs
