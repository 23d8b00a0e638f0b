// Between the engine and the reader of one request. What piles up is merged into one event, so that
// its memory is bounded by the request's own output, and a slow reader is seen by the engine, which
// then pauses the sequence.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/thread_annotations.h"
#include "engine/doorbell.h"
#include "mlx_serving/event.h"
#include "text/output_delta.h"

namespace mlxs {

// Thread safety: the engine's side from any engine thread, the reader's side from one thread,
// cancel() from any. Invariants: accept() comes before append(), and nothing after finish(); the
// reader sees exactly one finish.
class EventStream {
 public:
  // Unread tokens at which the sequence pauses: far more than a reader on the same machine ever
  // lags behind.
  static constexpr int kMaxUnreadTokens = 1024;

  // `engine_bell` rings when the reader cancels or has caught up.
  explicit EventStream(std::shared_ptr<Doorbell> engine_bell)
      : engine_bell_(std::move(engine_bell)) {}

  // The engine's side.
  void accept(int num_prompt_tokens);
  // `logprobs` of the token may be null.
  void append(
      std::int32_t token_id, const OutputDelta& delta, const TokenLogprobs* logprobs = nullptr
  );
  // What is told of the prompt goes with the first token: called before it is appended.
  void tell_prompt(std::vector<std::int32_t> ids, std::vector<TokenLogprobs> logprobs);
  void tell_embedding(std::vector<float> embedding);  // before finish()
  void finish(Finish finish, const OutputDelta& last);
  [[nodiscard]] bool is_cancelled() const { return is_cancelled_.load(std::memory_order_acquire); }
  [[nodiscard]] bool is_backed_up() const {
    return num_unread_.load(std::memory_order_acquire) >= kMaxUnreadTokens;
  }

  // The reader's side; see Generation.
  [[nodiscard]] std::optional<Event> next();
  [[nodiscard]] std::optional<Event> try_next();
  void on_ready(const std::function<void()>& wake);
  void cancel();

 private:
  [[nodiscard]] bool has_event() const MLXS_REQUIRES(mutex_);
  [[nodiscard]] std::optional<Event> take() MLXS_REQUIRES(mutex_);
  void announce();

  const std::shared_ptr<Doorbell> engine_bell_;
  std::atomic<bool> is_cancelled_ = false;
  std::atomic<int> num_unread_ = 0;

  mutable Mutex mutex_;
  ConditionVariable ready_;
  std::optional<int> accepted_ MLXS_GUARDED_BY(mutex_);
  Event pending_ MLXS_GUARDED_BY(mutex_);  // without what is in `unread_`
  OutputDelta unread_ MLXS_GUARDED_BY(mutex_);
  bool is_done_ MLXS_GUARDED_BY(mutex_) = false;  // the finish was handed out
  std::function<void()> wake_ MLXS_GUARDED_BY(mutex_);
};

}  // namespace mlxs
