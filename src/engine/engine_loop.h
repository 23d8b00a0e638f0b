// The engine's turn on the device thread: schedule, submit, collect, publish.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bounded_queue.h"
#include "base/thread_annotations.h"
#include "engine/device_thread.h"
#include "engine/engine_parts.h"
#include "engine/heartbeat.h"
#include "engine/live_output.h"
#include "engine/mask_job.h"
#include "engine/prompt_output.h"
#include "engine/runner.h"
#include "engine/salt_table.h"
#include "engine/scheduler/scheduler.h"
#include "engine/sequence.h"
#include "engine/slo_governor.h"
#include "engine/step_meter.h"
#include "engine/submission_ring.h"
#include "engine/text_stage.h"
#include "engine/tier_link.h"

namespace mlxs {

// Thread safety: commands() and the const members from any thread, everything else on the device
// thread. Invariants: `live_` and the scheduler hold the same sequences.
class EngineLoop final : public DeviceWorker {
 public:
  // `capacity` bounds the queue of prepared requests. `wake` is called from other threads when
  // there is something to do.
  EngineLoop(const EngineParts& parts, std::size_t capacity, std::function<void()> wake = [] {});
  ~EngineLoop() override;
  EngineLoop(const EngineLoop&) = delete;
  EngineLoop& operator=(const EngineLoop&) = delete;

  // Where prepared requests enter.
  [[nodiscard]] BoundedQueue<PreparedRequest>& commands() { return commands_; }

  // One turn: keeps the ring full, and takes the oldest step's result once it is.
  bool step() override;

  // The plain twin of step(): one step from its schedule to its events, nothing overlapped.
  bool step_plain();

  // Ends every request here with `error`. RETURNS: how many.
  int fail_all(const Error& error);

  // Waits until the disk has all that finished sequences left for it. Without a persistent tier it
  // does nothing. RETURNS: false where `timeout` came first.
  bool flush_cache(std::chrono::milliseconds timeout);

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
    LiveOutput output;
    TierSalts salts;
    PromptOutput prompt;
    TimePoint last_token_at = kNever;
  };

  void prepare();
  void take_commands();
  [[nodiscard]] bool begin_load(PreparedRequest& request);
  [[nodiscard]] TierSalts salts_of(const PreparedRequest& request);
  void start(PreparedRequest request);
  [[nodiscard]] bool start_sequence(Sequence sequence, Live live);
  void watch_readers();
  void end_expired();
  bool submit_next();
  void add_masks(Batch& batch);
  void collect_oldest();
  void publish(const std::vector<NewToken>& tokens, TimePoint now);
  void publish_token(SequenceId id, const SampledToken& token, TimePoint now);
  void collect_prompts(const StepResult& result);
  void fail_step(std::uint64_t step, const std::string& what);
  void finish(SequenceId id, Finish finish, const OutputDelta& last, Keep keep);
  void fail(SequenceId id, const Error& error);
  void export_stats();

  const std::shared_ptr<const TextModel> text_;
  const std::unique_ptr<Runner> runner_;
  const std::unique_ptr<TraceSink> trace_;
  Scheduler scheduler_;
  SubmissionRing ring_;
  StepMeter meter_;
  SloGovernor governor_;
  std::unique_ptr<TierLink> tier_;  // null: nothing is kept on disk
  SaltTable salts_;
  BoundedQueue<PreparedRequest> commands_;
  std::unordered_map<SequenceId, Live> live_;
  std::unordered_map<std::uint64_t, PreparedRequest> loading_;  // their pages come from the disk
  std::uint64_t next_load_ = 1;
  SequenceId next_id_ = 1;
  std::uint64_t next_seed_;
  MaskWorkers mask_workers_;
  int num_guided_ = 0;          // of `live_`
  bool awaits_tokens_ = false;  // the step in flight samples what the next masks depend on

  Heartbeat heartbeat_;
  std::atomic<int> num_paused_ = 0;
  mutable Mutex stats_mutex_;
  EngineStats stats_ MLXS_GUARDED_BY(stats_mutex_);  // as of the last turn
};

}  // namespace mlxs
