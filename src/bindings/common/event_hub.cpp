// The board holds what engine threads touch; a stream is read outside of every lock of the hub.
#include "bindings/common/event_hub.h"

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/thread_annotations.h"
#include "bindings/common/forked.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"

namespace mlxs {
namespace {

json::value error_to_json(const Error& error) {
  json::object object{
      {"code", error_code_info(error.code()).name},
      {"message", error.what()},
      {"param", error.param().empty() ? json::value(nullptr) : json::value(error.param())}
  };
  if (const auto wait = error.retry_after()) object["retry_after_s"] = wait->count();
  return object;
}

}  // namespace

std::string finish_to_json(const Finish& finish) {
  const json::object object{
      {"reason", finish_reason_name(finish.reason)},
      {"error", finish.error ? error_to_json(*finish.error) : json::value(nullptr)},
      {"stop_string",
       finish.stop_string.empty() ? json::value(nullptr) : json::value(finish.stop_string)},
      {"usage",
       {{"prompt_tokens", finish.usage.prompt_tokens},
        {"cached_tokens", finish.usage.cached_tokens},
        {"completion_tokens", finish.usage.completion_tokens}}},
      {"cache",
       {{"miss", cache_miss_name(finish.cache.miss)},
        {"first_differing_token", finish.cache.first_differing_token}}},
      {"timings",
       {{"queue_ms", finish.timings.queue_ms},
        {"prefill_ms", finish.timings.prefill_ms},
        {"decode_ms", finish.timings.decode_ms}}}
  };
  return json::serialize(object);
}

EventHub::EventHub(std::function<void()> wake)
    : process_id_(getpid()), board_(std::make_shared<Board>()) {
  MutexLock lock(board_->mutex);
  board_->wake = std::move(wake);
}

EventHub::~EventHub() {
  if (is_forked_from(process_id_)) {
    // The locks may be held by threads that the child does not have.
    for (auto& entry : streams_) leak(std::move(entry.second));
    return;
  }
  close();
}

void EventHub::close() {
  {
    MutexLock lock(board_->mutex);
    board_->wake = {};
  }
  std::unordered_map<std::uint64_t, std::shared_ptr<Stream>> streams;
  MutexLock lock(mutex_);
  streams.swap(streams_);
}

std::uint64_t EventHub::add(Generation generation) {
  const auto mark = std::make_shared<Mark>();
  mark->board = board_;
  const auto stream = std::make_shared<Stream>(Stream{std::move(generation), mark});
  {
    MutexLock lock(mutex_);
    mark->stream_id = next_id_++;
    streams_.emplace(mark->stream_id, stream);
  }
  stream->generation.on_ready([mark] { arrive(*mark); });
  return mark->stream_id;
}

void EventHub::arrive(Mark& mark) {
  Board& board = *mark.board;
  MutexLock lock(board.mutex);
  if (!mark.is_ready) {
    mark.is_ready = true;
    board.ready.push_back(mark.stream_id);
  }
  if (board.is_announced) return;
  board.is_announced = true;
  board.arrived.notify_one();
  if (!board.wake) return;
  ++board.num_wakes;
  // Under the lock, so that what it wakes is alive: the hub's end waits for it.
  board.wake();
}

std::vector<DoorEvent> EventHub::take() {
  std::vector<std::uint64_t> ready;
  {
    MutexLock lock(board_->mutex);
    ready.swap(board_->ready);
    board_->is_announced = false;
  }
  std::vector<DoorEvent> events;
  events.reserve(ready.size());
  for (const std::uint64_t id : ready) read_stream(id, events);
  return events;
}

void EventHub::read_stream(std::uint64_t stream_id, std::vector<DoorEvent>& events) {
  std::shared_ptr<Stream> stream;
  {
    MutexLock lock(mutex_);
    const auto found = streams_.find(stream_id);
    if (found == streams_.end()) return;
    stream = found->second;
  }
  {
    // Before the stream is read, so that what comes after marks it anew.
    MutexLock lock(board_->mutex);
    stream->mark->is_ready = false;
  }
  while (std::optional<Event> event = stream->generation.try_next()) {
    const bool is_last = event->finish.has_value();
    events.push_back({
        .stream_id = stream_id,
        .prompt_tokens = event->prompt_tokens,
        .text = std::move(event->text),
        .token_ids = std::move(event->token_ids),
        .finish_json = is_last ? finish_to_json(*event->finish) : std::string(),
    });
    if (!is_last) continue;
    MutexLock lock(mutex_);
    streams_.erase(stream_id);
    return;
  }
}

std::vector<DoorEvent> EventHub::wait(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    std::vector<DoorEvent> events = take();
    if (!events.empty()) return events;
    MutexLock lock(board_->mutex);
    while (!board_->is_announced) {
      if (board_->arrived.wait_until(board_->mutex, deadline) == std::cv_status::timeout) return {};
    }
  }
}

void EventHub::cancel(std::uint64_t stream_id) {
  MutexLock lock(mutex_);
  const auto found = streams_.find(stream_id);
  if (found != streams_.end()) found->second->generation.cancel();
}

void EventHub::discard(std::uint64_t stream_id) {
  std::shared_ptr<Stream> stream;
  MutexLock lock(mutex_);
  const auto found = streams_.find(stream_id);
  if (found == streams_.end()) return;
  stream = std::move(found->second);
  streams_.erase(found);
}

std::size_t EventHub::num_streams() const {
  MutexLock lock(mutex_);
  return streams_.size();
}

std::uint64_t EventHub::num_wakes() const {
  MutexLock lock(board_->mutex);
  return board_->num_wakes;
}

}  // namespace mlxs
