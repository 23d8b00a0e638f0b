// Reads back what json_trace.cpp writes.
#include "engine/scheduler/trace_replay.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "cache/kv_cache.h"
#include "cache/page_layout.h"
#include "engine/batch.h"
#include "engine/scheduler/json_trace.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/sequence.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

TimePoint time_of(const json::value& value) {
  if (value.is_null()) return kNever;
  return TimePoint(std::chrono::nanoseconds(value.to_number<std::int64_t>()));
}

bool is_decision(std::string_view event) {
  return event == "started" || event == "preempted" || event == "parked";
}

std::string_view text_of(const json::object& object, std::string_view name) {
  return object.at(name).as_string();
}

template <typename T>
T number_of(const json::object& object, std::string_view name) {
  return object.at(name).to_number<T>();
}

SchedulerOptions options_of(const json::object& event) {
  SchedulerOptions options{
      .max_sequences = number_of<int>(event, "max_sequences"),
      .step_tokens = number_of<int>(event, "step_tokens"),
      .cache = {.page_size = number_of<int>(event, "page_size")},
      .prefix_caching = event.at("prefix_caching").as_bool(),
      .target_itl_ms = number_of<double>(event, "target_itl_ms"),
      .max_slowdown = number_of<double>(event, "max_slowdown"),
      .min_prefill_rows = number_of<int>(event, "min_prefill_rows"),
      .max_waiting = number_of<int>(event, "max_waiting"),
      .default_weight = number_of<double>(event, "default_weight"),
      .preemption =
          text_of(event, "preemption") == "swap" ? PreemptionKind::swap : PreemptionKind::recompute,
      .host_pages = number_of<int>(event, "host_pages"),
      .max_preemptions = number_of<int>(event, "max_preemptions"),
      .aging_ms = number_of<double>(event, "aging_ms"),
      .aged_share = number_of<int>(event, "aged_share"),
      .watermark = number_of<double>(event, "watermark"),
  };
  for (const json::value& group : event.at("groups").as_array()) {
    const json::object& fields = group.as_object();
    options.cache.groups.push_back(
        {.num_pages = number_of<int>(fields, "num_pages"),
         .window = number_of<int>(fields, "window")}
    );
  }
  for (const auto& [key, weight] : event.at("key_weights").as_object())
    options.key_weights[std::string(key)] = weight.to_number<double>();
  return options;
}

Sequence sequence_of(const json::object& event) {
  Sequence sequence;
  sequence.id = number_of<SequenceId>(event, "id");
  for (const json::value& id : event.at("token_ids").as_array())
    sequence.token_ids.push_back(id.to_number<std::int32_t>());
  sequence.num_prompt_tokens = sequence.num_tokens();
  sequence.max_length = number_of<int>(event, "max_length");
  sequence.priority = number_of<int>(event, "priority");
  sequence.key = text_of(event, "key");
  sequence.key_weight = event.at("key_weight").to_number<double>();
  sequence.cache_salt = number_of<std::uint64_t>(event, "cache_salt");
  sequence.use_cache = event.at("use_cache").as_bool() ? UseCache::yes : UseCache::no;
  sequence.arrived_at = time_of(event.at("arrived_at"));
  sequence.ttft_deadline = time_of(event.at("ttft_deadline"));
  sequence.deadline = time_of(event.at("deadline"));
  sequence.fork_of = number_of<SequenceId>(event, "fork_of");
  sequence.needs_known_tokens = event.at("needs_known_tokens").as_bool();
  return sequence;
}

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorCode::invalid_request, "this is no line of a scheduler's trace: " + what);
}

}  // namespace

std::optional<TraceDifference> TraceReplay::feed(std::string_view line) {
  const json::value value = parse_json(line);
  ++num_lines_;
  recorded_.emplace_back(line);
  try {
    const json::object& event = value.as_object();
    if (is_decision(text_of(event, "event"))) return std::nullopt;
    run(event);
  } catch (const boost::system::system_error& error) {
    refuse(error.what());
  } catch (const std::invalid_argument& error) {
    refuse(error.what());
  } catch (const std::out_of_range& error) {
    refuse(error.what());
  }
  std::optional<TraceDifference> difference = compare();
  recorded_.clear();
  replayed_.clear();
  return difference;
}

void TraceReplay::run(const json::object& event) {
  const std::string_view name = text_of(event, "event");
  if (name == "created") return create(event);
  if (!scheduler_) refuse("it must begin with the scheduler's options");
  if (name == "added") {
    (void)scheduler_->add(sequence_of(event), time_of(event.at("now")));
  } else if (name == "scheduled") {
    (void)scheduler_->schedule(time_of(event.at("now")));
  } else if (name == "completed") {
    complete(event);
  } else if (name == "failed") {
    (void)scheduler_->fail(number_of<std::uint64_t>(event, "step"));
  } else if (name == "removed") {
    const bool keeps = text_of(event, "keep") == "cached";
    scheduler_->remove(number_of<SequenceId>(event, "id"), keeps ? Keep::cached : Keep::nothing);
  } else if (name == "paused") {
    scheduler_->set_paused(number_of<SequenceId>(event, "id"), event.at("is_paused").as_bool());
  } else if (name == "expired") {
    (void)scheduler_->expired(time_of(event.at("now")));
  } else {
    refuse("unknown event " + json_quote(name));
  }
}

void TraceReplay::create(const json::object& event) {
  trace_ =
      std::make_unique<JsonTrace>([this](std::string_view line) { replayed_.emplace_back(line); });
  scheduler_ = std::make_unique<Scheduler>(options_of(event), trace_.get());
}

void TraceReplay::complete(const json::object& event) {
  std::vector<SampledToken> tokens;
  for (const json::value& token : event.at("tokens").as_array()) {
    tokens.push_back(
        token.is_null() ? SampledToken{.is_finite = false}
                        : SampledToken{.id = token.to_number<std::int32_t>()}
    );
  }
  scheduler_->complete(
      {.step = number_of<std::uint64_t>(event, "step"),
       .duration = std::chrono::nanoseconds(number_of<std::int64_t>(event, "duration")),
       .completed_at = time_of(event.at("completed_at")),
       .tokens = tokens}
  );
}

std::optional<TraceDifference> TraceReplay::compare() const {
  const std::size_t num_lines = std::max(recorded_.size(), replayed_.size());
  for (std::size_t i = 0; i < num_lines; ++i) {
    const std::string recorded = i < recorded_.size() ? recorded_[i] : "";
    const std::string replayed = i < replayed_.size() ? replayed_[i] : "";
    if (recorded == replayed) continue;
    const std::uint64_t first = num_lines_ - recorded_.size() + 1;
    return TraceDifference{.line = first + i, .recorded = recorded, .replayed = replayed};
  }
  return std::nullopt;
}

}  // namespace mlxs
