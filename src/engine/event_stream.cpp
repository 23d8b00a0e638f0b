// The merged pending event, and Generation, its public face.
#include "engine/event_stream.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "mlx_serving/event.h"
#include "text/output_delta.h"

namespace mlxs {

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::cancelled:
      return "cancelled";
    case FinishReason::error:
      return "error";
  }
  return "error";
}

std::string_view cache_miss_name(CacheMiss miss) {
  switch (miss) {
    case CacheMiss::none:
      return "none";
    case CacheMiss::first_token:
      return "first_token";
    case CacheMiss::diverged:
      return "diverged";
    case CacheMiss::evicted:
      return "evicted";
    case CacheMiss::salted:
      return "salted";
    case CacheMiss::disabled:
      return "disabled";
  }
  return "none";
}

void EventStream::accept(int num_prompt_tokens) {
  {
    MutexLock lock(mutex_);
    accepted_ = num_prompt_tokens;
  }
  announce();
}

void EventStream::append(
    std::int32_t token_id, const OutputDelta& delta, const TokenLogprobs* logprobs
) {
  num_unread_.fetch_add(1, std::memory_order_acq_rel);
  {
    MutexLock lock(mutex_);
    pending_.token_ids.push_back(token_id);
    unread_.append(delta);
    if (logprobs != nullptr) pending_.logprobs.push_back(*logprobs);
  }
  announce();
}

void EventStream::tell_prompt(std::vector<std::int32_t> ids, std::vector<TokenLogprobs> logprobs) {
  MutexLock lock(mutex_);
  pending_.prompt_ids = std::move(ids);
  pending_.prompt_logprobs = std::move(logprobs);
}

void EventStream::tell_embedding(std::vector<float> embedding) {
  MutexLock lock(mutex_);
  pending_.embedding = std::move(embedding);
}

void EventStream::finish(Finish finish, const OutputDelta& last) {
  {
    MutexLock lock(mutex_);
    unread_.append(last);
    pending_.finish = std::move(finish);
  }
  announce();
}

// The reader may destroy what `wake` belongs to at any time, so `wake` itself must guard its
// target.
void EventStream::announce() {
  std::function<void()> wake;
  {
    MutexLock lock(mutex_);
    wake = wake_;
  }
  ready_.notify_one();
  if (wake) wake();
}

bool EventStream::has_event() const {
  return accepted_.has_value() || !pending_.token_ids.empty() || pending_.finish.has_value();
}

std::optional<Event> EventStream::take() {
  if (is_done_ || !has_event()) return std::nullopt;
  if (accepted_) {
    Event event;
    event.prompt_tokens = std::exchange(accepted_, std::nullopt);
    return event;
  }
  is_done_ = pending_.finish.has_value();
  const int num_taken = static_cast<int>(pending_.token_ids.size());
  const int num_before = num_unread_.fetch_sub(num_taken, std::memory_order_acq_rel);
  if (num_before >= kMaxUnreadTokens) engine_bell_->ring();
  OutputDelta delta = std::exchange(unread_, OutputDelta{});
  pending_.text = std::move(delta.text);
  pending_.reasoning = std::move(delta.reasoning);
  pending_.tool_calls = std::move(delta.tool_calls);
  return std::exchange(pending_, Event{});
}

std::optional<Event> EventStream::next() {
  MutexLock lock(mutex_);
  while (!is_done_ && !has_event()) ready_.wait(mutex_);
  return take();
}

std::optional<Event> EventStream::try_next() {
  MutexLock lock(mutex_);
  return take();
}

void EventStream::on_ready(const std::function<void()>& wake) {
  bool is_ready = false;
  {
    MutexLock lock(mutex_);
    wake_ = wake;
    is_ready = !is_done_ && has_event();
  }
  if (is_ready && wake) wake();
}

void EventStream::cancel() {
  is_cancelled_.store(true, std::memory_order_release);
  engine_bell_->ring();
}

Generation::Generation(std::shared_ptr<EventStream> stream) : stream_(std::move(stream)) {}
Generation::Generation(Generation&&) noexcept = default;

Generation& Generation::operator=(Generation&& other) noexcept {
  if (this != &other) {
    if (stream_) stream_->cancel();
    stream_ = std::move(other.stream_);
  }
  return *this;
}

Generation::~Generation() {
  if (!stream_) return;
  stream_->on_ready({});
  stream_->cancel();
}

std::optional<Event> Generation::next() { return stream_->next(); }
std::optional<Event> Generation::try_next() { return stream_->try_next(); }
void Generation::on_ready(const std::function<void()>& wake) { stream_->on_ready(wake); }
void Generation::cancel() { stream_->cancel(); }

}  // namespace mlxs
