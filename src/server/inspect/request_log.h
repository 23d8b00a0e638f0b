// What became of the newest requests: their milestones, kept in a bounded ring. It holds no text of
// prompts or answers.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_annotations.h"
#include "mlx_serving/event.h"

namespace mlxs {

// One answer of a request. Times are milliseconds since the request was queued.
struct ChoiceRecord {
  std::optional<int> prompt_tokens;      // the engine has accepted it
  std::optional<double> first_token_ms;  // when the server had it
  std::optional<double> ended_ms;
  std::optional<Finish> finish;  // none, but ended: its client left
};

struct RequestRecord {
  std::string id;
  std::string share;            // whose it is; see HttpRequest::share
  std::int64_t created_ms = 0;  // of the Unix clock
  std::chrono::steady_clock::time_point queued_at;
  std::vector<ChoiceRecord> choices;
};

// Thread safety: all members may be called from any thread. A number that has left the ring is
// taken and ignored.
class RequestLog {
 public:
  using Number = std::uint64_t;

  explicit RequestLog(std::size_t max_requests = 1000) : max_requests_(max_requests) {}

  [[nodiscard]] Number begin(std::string id, std::string share, std::size_t num_choices);
  void accepted(Number number, std::size_t choice, int num_prompt_tokens);
  void got_token(Number number, std::size_t choice);
  void finished(Number number, std::size_t choice, const Finish& finish);
  void dropped(Number number);  // what is not finished never will be

  // RETURNS: the newest request of that id; nothing where there is none, or no more.
  [[nodiscard]] std::optional<RequestRecord> find(std::string_view id) const;
  // RETURNS: the newest ones, the newest first.
  [[nodiscard]] std::vector<RequestRecord> newest(std::size_t count) const;

 private:
  [[nodiscard]] RequestRecord* record_of(Number number) MLXS_REQUIRES(mutex_);

  const std::size_t max_requests_;
  mutable Mutex mutex_;
  std::deque<RequestRecord> records_ MLXS_GUARDED_BY(mutex_);
  Number first_ MLXS_GUARDED_BY(mutex_) = 0;  // of records_
};

}  // namespace mlxs
