// Stored responses: the newest ones, in SQLite. It knows nothing of what is in them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/thread_annotations.h"
#include "server/responses/sqlite.h"

namespace mlxs {

struct StoredResponse {
  std::string id;
  std::string owner;         // the name of the API key that it belongs to
  std::string status;        // "in_progress", "completed" ...
  std::string response;      // JSON as clients get it
  std::string input;         // JSON array of the items that were sent
  std::string conversation;  // JSON array of messages that a following response begins with
};

// Thread safety: all members from any thread; each may wait for the disk. A response is seen by its
// owner only.
class ResponseStore {
 public:
  // Responses that an earlier process left unfinished become failed. `path` is a file or
  // ":memory:"; of more than `max_responses` the oldest go. ERRORS: Error(io_error).
  ResponseStore(const std::string& path, std::int64_t max_responses);

  void insert(const StoredResponse& response);

  // Replaces an unfinished response. RETURNS: whether there was one; a response that was deleted or
  // is finished stays as it is.
  bool finish(const StoredResponse& response);

  [[nodiscard]] std::optional<StoredResponse> find(std::string_view id, std::string_view owner);
  // RETURNS: whether it was there.
  bool remove(std::string_view id, std::string_view owner);

 private:
  const std::int64_t max_responses_;
  Mutex mutex_;
  SqliteDatabase database_ MLXS_GUARDED_BY(mutex_);
};

}  // namespace mlxs
