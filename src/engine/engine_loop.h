// The engine's turn on the device thread: schedule, run, publish.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "base/bounded_queue.h"
#include "engine/device_thread.h"
#include "engine/engine_parts.h"
#include "engine/heartbeat.h"
#include "engine/output_text.h"
#include "engine/text_stage.h"

namespace mlxs {

// Thread safety: commands() and the const members from any thread, everything else on the device
// thread. Invariants: `live_` and the scheduler hold the same sequences.
class EngineLoop final : public DeviceWorker {
 public:
  // `capacity` bounds the queue of prepared requests.
  EngineLoop(const EngineParts& parts, std::size_t capacity);

  // Where prepared requests enter.
  [[nodiscard]] BoundedQueue<PreparedRequest>& commands() { return commands_; }

  bool step() override;

  // Ends every request here with `error`. RETURNS: how many.
  int fail_all(const Error& error);

  [[nodiscard]] const Heartbeat& heartbeat() const { return heartbeat_; }
  // Fills in what the loop knows of EngineStats.
  void read_stats(EngineStats& stats) const;
  // RETURNS: requests that wait for their reader and so are no pending work.
  [[nodiscard]] int num_paused() const { return num_paused_.load(std::memory_order_relaxed); }

 private:
  using Clock = Heartbeat::Clock;

  // What the engine keeps of a request beside its Sequence.
  struct Live {
    Ticket ticket;
    OutputText text;
    std::vector<std::int32_t> stop_token_ids;  // the model's end tokens included
    Clock::time_point started_at{};            // first step
    Clock::time_point first_token_at{};
  };

  void take_commands();
  void start(PreparedRequest request);
  void watch_readers();
  void note_started(const Batch& batch);
  void publish(const Batch& batch, const StepResult& result);
  void publish_token(SequenceId id, const SampledToken& token);
  void fail_batch(const Batch& batch, const std::string& what);
  void finish(SequenceId id, Finish finish, std::string_view last_text);
  void fail(SequenceId id, const Error& error);
  void export_counts();

  const std::shared_ptr<const TextModel> text_;
  const std::unique_ptr<Runner> runner_;
  Scheduler scheduler_;
  BoundedQueue<PreparedRequest> commands_;
  std::unordered_map<SequenceId, Live> live_;
  SequenceId next_id_ = 1;
  std::uint64_t next_seed_;

  Heartbeat heartbeat_;
  std::atomic<int> num_running_ = 0;
  std::atomic<int> num_free_pages_ = 0;
  std::atomic<int> num_paused_ = 0;
  std::atomic<std::uint64_t> num_finished_ = 0;
};

}  // namespace mlxs
