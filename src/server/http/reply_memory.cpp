// What still runs is never trimmed: its end must find it.
#include "server/http/reply_memory.h"

#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "base/thread_annotations.h"
#include "server/http/message.h"
#include "server/http/sha256.h"

namespace mlxs {

void ReplyMemory::erase(Entries::iterator entry) {
  if (entry->response) num_bytes_ -= entry->response->body.size();
  by_name_.erase(entry->name);
  entries_.erase(entry);
}

void ReplyMemory::trim() {
  const Clock::time_point oldest = Clock::now() - limits_.life;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto next = std::next(entry);
    const bool is_over = entry->made_at < oldest || entries_.size() > limits_.max_replies ||
                         num_bytes_ > limits_.max_bytes;
    if (!is_over) return;
    if (entry->response) erase(entry);
    entry = next;
  }
}

std::optional<HttpResponse> ReplyMemory::claim(const std::string& name, const Sha256& request) {
  MutexLock lock(mutex_);
  trim();
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) {
    entries_.push_back({name, request, std::nullopt, Clock::now()});
    by_name_.emplace(name, std::prev(entries_.end()));
    return std::nullopt;
  }
  const Entry& entry = *found->second;
  if (entry.request != request) {
    throw HttpError(client_fault(
        422, "this Idempotency-Key was used for a different request", "idempotency_key_reused"
    ));
  }
  if (!entry.response) {
    throw HttpError(client_fault(
        409, "the first request with this Idempotency-Key still runs", "idempotency_key_in_use"
    ));
  }
  return entry.response;
}

void ReplyMemory::keep(const std::string& name, HttpResponse response) {
  MutexLock lock(mutex_);
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return;
  num_bytes_ += response.body.size();
  found->second->response = std::move(response);
  trim();
}

void ReplyMemory::forget(const std::string& name) {
  MutexLock lock(mutex_);
  const auto found = by_name_.find(name);
  if (found != by_name_.end()) erase(found->second);
}

}  // namespace mlxs
