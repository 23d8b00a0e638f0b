// Each event as an object; trace_replay.cpp reads back those that are inputs.
#include "engine/scheduler/json_trace.h"

#include <chrono>
#include <cstdint>
#include <span>
#include <utility>

#include "base/json.h"
#include "cache/kv_cache.h"
#include "cache/page_layout.h"
#include "engine/batch.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/sequence.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

json::value time_value(TimePoint time) {
  if (time == kNever) return nullptr;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

json::array ids_value(std::span<const SequenceId> ids) {
  json::array array;
  for (const SequenceId id : ids) array.emplace_back(id);
  return array;
}

json::array groups_value(const CacheLayout& layout) {
  json::array groups;
  for (const PageGroup& group : layout.groups)
    groups.push_back(json::object{{"num_pages", group.num_pages}, {"window", group.window}});
  return groups;
}

json::array slices_value(const Batch& batch) {
  json::array slices;
  for (const BatchSlice& slice : batch.slices)
    slices.push_back(json::array{slice.sequence, slice.context_length, slice.num_rows});
  return slices;
}

json::array samples_value(const Batch& batch) {
  json::array samples;
  for (const BatchSample& sample : batch.samples)
    samples.push_back(json::array{sample.sequence, sample.row});
  return samples;
}

json::array copies_value(const Batch& batch) {
  json::array copies;
  for (const PageCopy& copy : batch.copies)
    copies.push_back(json::array{copy.group, copy.from, copy.to});
  return copies;
}

json::array moves_value(std::span<const PageMove> page_moves) {
  json::array moves;
  for (const PageMove& move : page_moves)
    moves.push_back(json::array{move.group, move.page, move.host_slot});
  return moves;
}

}  // namespace

JsonTrace::JsonTrace(Write write) : write_(std::move(write)) {}

void JsonTrace::put(const json::object& line) { write_(json::serialize(line)); }

void JsonTrace::created(const SchedulerOptions& options) {
  json::object weights;
  for (const auto& [key, weight] : options.key_weights) weights[key] = weight;
  put({
      {"event", "created"},
      {"max_sequences", options.max_sequences},
      {"step_tokens", options.step_tokens},
      {"page_size", options.cache.page_size},
      {"groups", groups_value(options.cache)},
      {"prefix_caching", options.prefix_caching},
      {"target_itl_ms", options.target_itl_ms},
      {"max_slowdown", options.max_slowdown},
      {"min_prefill_rows", options.min_prefill_rows},
      {"max_waiting", options.max_waiting},
      {"key_weights", weights},
      {"default_weight", options.default_weight},
      {"preemption", options.preemption == PreemptionKind::swap ? "swap" : "recompute"},
      {"host_pages", options.host_pages},
      {"max_preemptions", options.max_preemptions},
      {"aging_ms", options.aging_ms},
      {"aged_share", options.aged_share},
      {"watermark", options.watermark},
  });
}

void JsonTrace::added(const Sequence& sequence, TimePoint now, const Admission& admission) {
  json::object line{
      {"event", "added"},
      {"now", time_value(now)},
      {"id", sequence.id},
      {"max_length", sequence.max_length},
      {"priority", sequence.priority},
      {"key", sequence.key},
      {"key_weight", sequence.key_weight},
      {"cache_salt", sequence.cache_salt},
      {"use_cache", sequence.use_cache == UseCache::yes},
      {"arrived_at", time_value(sequence.arrived_at)},
      {"ttft_deadline", time_value(sequence.ttft_deadline)},
      {"deadline", time_value(sequence.deadline)},
      {"fork_of", sequence.fork_of},
      {"needs_known_tokens", sequence.needs_known_tokens},
  };
  line["refusal"] = nullptr;
  if (admission.refusal) line["refusal"] = error_code_info(*admission.refusal).name;
  line["predicted_ttft_ms"] = admission.predicted_ttft_ms;
  line["retry_after_s"] = admission.retry_after_s;
  line["token_ids"] = json::array(sequence.token_ids.begin(), sequence.token_ids.end());
  put(line);
}

void JsonTrace::scheduled(TimePoint now, const Batch& batch) {
  put({
      {"event", "scheduled"},
      {"now", time_value(now)},
      {"step", batch.is_empty() ? 0 : batch.step},
      {"slices", slices_value(batch)},
      {"samples", samples_value(batch)},
      {"num_feeds", batch.feeds.size()},
      {"copies", copies_value(batch)},
      {"swap_out", moves_value(batch.swap_out)},
      {"swap_in", moves_value(batch.swap_in)},
  });
}

void JsonTrace::completed(const StepReport& report) {
  json::array tokens;
  for (const SampledToken& token : report.tokens)
    tokens.push_back(token.is_finite ? json::value(token.id) : json::value(nullptr));
  put({
      {"event", "completed"},
      {"step", report.step},
      {"duration", report.duration.count()},
      {"completed_at", time_value(report.completed_at)},
      {"tokens", tokens},
  });
}

void JsonTrace::failed(std::uint64_t step, std::span<const SequenceId> sequences) {
  put({{"event", "failed"}, {"step", step}, {"sequences", ids_value(sequences)}});
}

void JsonTrace::removed(SequenceId id, Keep keep) {
  put({{"event", "removed"}, {"id", id}, {"keep", keep == Keep::cached ? "cached" : "nothing"}});
}

void JsonTrace::paused(SequenceId id, bool is_paused) {
  put({{"event", "paused"}, {"id", id}, {"is_paused", is_paused}});
}

void JsonTrace::expired(TimePoint now, std::span<const SequenceId> sequences) {
  put({{"event", "expired"}, {"now", time_value(now)}, {"sequences", ids_value(sequences)}});
}

void JsonTrace::started(SequenceId id, int cached_tokens) {
  put({{"event", "started"}, {"id", id}, {"cached_tokens", cached_tokens}});
}

void JsonTrace::preempted(SequenceId id, PreemptionKind kind) {
  put(
      {{"event", "preempted"},
       {"id", id},
       {"kind", kind == PreemptionKind::swap ? "swap" : "recompute"}}
  );
}

void JsonTrace::parked(SequenceId id, SequenceId leader, int num_tokens) {
  put({{"event", "parked"}, {"id", id}, {"leader", leader}, {"num_tokens", num_tokens}});
}

}  // namespace mlxs
