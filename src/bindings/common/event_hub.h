// Where a binding reads the events of many streams: one wake-up for all of them, and each event
// taken in the batch with those that are there. It knows nothing of any language.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/thread_annotations.h"
#include "mlx_serving/event.h"

namespace mlxs {

struct DoorEvent {
  std::uint64_t stream_id = 0;
  std::optional<int> prompt_tokens = {};     // only in the first event
  std::string text = {};                     // whole UTF-8 characters
  std::vector<std::int32_t> token_ids = {};  // sampled since the event before
  std::string finish_json = {};  // of the last event: an object as to_json(Finish) makes it
};

// Thread safety: add(), cancel() and the const members from any thread; take(), wait() and
// discard() from one thread at a time. The hub may go away while events arrive.
// Invariant: between a call of `wake` and the take() that follows it, there is no other call.
class EventHub {
 public:
  // `wake` is called from engine threads when there is something to take after a take() that left
  // nothing; it must not block and must not call the hub. Empty: readers use wait().
  explicit EventHub(std::function<void()> wake = {});
  ~EventHub();  // close(); in a forked child it only forgets
  EventHub(const EventHub&) = delete;
  EventHub& operator=(const EventHub&) = delete;

  // RETURNS: the id of the stream, which no other stream of this hub has or had.
  std::uint64_t add(Generation generation);

  // RETURNS: the events that are there, in the order of their streams' arrival; a stream is
  // forgotten once its finish was returned.
  [[nodiscard]] std::vector<DoorEvent> take();

  // Waits until there is something to take. RETURNS: what take() does; nothing after `timeout`.
  [[nodiscard]] std::vector<DoorEvent> wait(std::chrono::milliseconds timeout);

  // Ends a stream within a step; its finish is still to be taken. Unknown ids are ignored: the
  // stream may just have ended.
  void cancel(std::uint64_t stream_id);

  // Ends a stream of which nothing more is to be heard.
  void discard(std::uint64_t stream_id);

  // Cancels what still runs and forgets it. Once it returns, `wake` is not called any more.
  void close();

  [[nodiscard]] std::size_t num_streams() const;
  [[nodiscard]] std::uint64_t num_wakes() const;  // calls of `wake` so far

 private:
  // What engine threads touch; it outlives the hub as long as they hold it.
  struct Board {
    Mutex mutex;
    ConditionVariable arrived;
    std::function<void()> wake MLXS_GUARDED_BY(mutex);
    std::vector<std::uint64_t> ready MLXS_GUARDED_BY(mutex);  // ids, each once
    bool is_announced MLXS_GUARDED_BY(mutex) = false;
    std::uint64_t num_wakes MLXS_GUARDED_BY(mutex) = 0;
  };
  // The entry of one stream on the board.
  struct Mark {
    std::shared_ptr<Board> board;
    std::uint64_t stream_id = 0;
    bool is_ready = false;  // guarded by the board's mutex
  };
  struct Stream {
    Generation generation;
    std::shared_ptr<Mark> mark;
  };

  static void arrive(Mark& mark);
  void read_stream(std::uint64_t stream_id, std::vector<DoorEvent>& events);

  const pid_t process_id_;
  const std::shared_ptr<Board> board_;
  mutable Mutex mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Stream>> streams_ MLXS_GUARDED_BY(mutex_);
  std::uint64_t next_id_ MLXS_GUARDED_BY(mutex_) = 1;
};

// RETURNS: the object {"reason", "error", "stop_string", "usage", "cache", "timings"} that a
// binding makes its own types of; `error` is null or {"code", "message", "param"}.
[[nodiscard]] std::string finish_to_json(const Finish& finish);

}  // namespace mlxs
