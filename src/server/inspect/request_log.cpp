// A request's number is its place in the sequence of all requests, so that finding it is no search.
#include "server/inspect/request_log.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "mlx_serving/event.h"

namespace mlxs {
namespace {

double ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

RequestRecord* RequestLog::record_of(Number number) {
  return number < first_ ? nullptr : &records_.at(static_cast<std::size_t>(number - first_));
}

RequestLog::Number RequestLog::begin(std::string id, std::string share, std::size_t num_choices) {
  RequestRecord record{
      .id = std::move(id),
      .share = std::move(share),
      .created_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::system_clock::now().time_since_epoch()
      )
                        .count(),
      .queued_at = std::chrono::steady_clock::now(),
      .choices = std::vector<ChoiceRecord>(num_choices)
  };
  MutexLock lock(mutex_);
  records_.push_back(std::move(record));
  if (records_.size() > max_requests_) {
    records_.pop_front();
    ++first_;
  }
  return first_ + records_.size() - 1;
}

void RequestLog::accepted(Number number, std::size_t choice, int num_prompt_tokens) {
  MutexLock lock(mutex_);
  if (RequestRecord* record = record_of(number))
    record->choices.at(choice).prompt_tokens = num_prompt_tokens;
}

void RequestLog::got_token(Number number, std::size_t choice) {
  MutexLock lock(mutex_);
  if (RequestRecord* record = record_of(number))
    record->choices.at(choice).first_token_ms = ms_since(record->queued_at);
}

void RequestLog::finished(Number number, std::size_t choice, const Finish& finish) {
  MutexLock lock(mutex_);
  RequestRecord* record = record_of(number);
  if (record == nullptr) return;
  record->choices.at(choice).ended_ms = ms_since(record->queued_at);
  record->choices.at(choice).finish = finish;
  record->choices.at(choice).finish->stop_string.clear();
}

void RequestLog::dropped(Number number) {
  MutexLock lock(mutex_);
  RequestRecord* record = record_of(number);
  if (record == nullptr) return;
  for (ChoiceRecord& choice : record->choices) {
    if (!choice.ended_ms) choice.ended_ms = ms_since(record->queued_at);
  }
}

std::optional<RequestRecord> RequestLog::find(std::string_view id) const {
  MutexLock lock(mutex_);
  const auto found = std::find_if(records_.rbegin(), records_.rend(), [id](const auto& record) {
    return record.id == id;
  });
  if (found == records_.rend()) return std::nullopt;
  return *found;
}

std::vector<RequestRecord> RequestLog::newest(std::size_t count) const {
  MutexLock lock(mutex_);
  const auto num = static_cast<std::ptrdiff_t>(std::min(count, records_.size()));
  return {records_.rbegin(), records_.rbegin() + num};
}

}  // namespace mlxs
