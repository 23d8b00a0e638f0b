// The stopwatch of `bench`.
#include "cli/bench_measure.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"

namespace mlxs {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

double rate(double count, double seconds) { return seconds > 0.0 ? count / seconds : 0.0; }

// Which generations have something to read. Shared with the engine's threads, which may outlive the
// reader's interest.
class ReadyList {
 public:
  void add(std::size_t index) {
    MutexLock lock(mutex_);
    ready_.push_back(index);
    changed_.notify_one();
  }

  std::size_t take() {
    MutexLock lock(mutex_);
    while (ready_.empty()) changed_.wait(mutex_);
    const std::size_t index = ready_.front();
    ready_.pop_front();
    return index;
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<std::size_t> ready_ MLXS_GUARDED_BY(mutex_);
};

// One sequence as its reader sees it.
struct Member {
  Generation generation;
  int num_tokens = 0;
  bool is_done = false;
  Finish finish;
};

// Several generations read by one thread as their events come.
class Crowd {
 public:
  Crowd(Engine& engine, std::vector<Request> requests) : started_at_(Clock::now()) {
    for (Request& request : requests)
      members_.push_back({.generation = engine.submit(std::move(request)), .finish = {}});
    for (std::size_t i = 0; i < members_.size(); ++i) {
      members_[i].generation.on_ready([ready = ready_, i] { ready->add(i); });
    }
  }

  // Reads until `is_enough(*this)` or all have ended. ERRORS: what a sequence ended with.
  template <typename Predicate>
  void read_until(const Predicate& is_enough) {
    while (!is_enough(*this) && !all_done()) {
      Member& member = members_[ready_->take()];
      while (auto event = member.generation.try_next()) note(member, *event);
    }
  }

  void cancel_and_wait() {
    for (Member& member : members_) member.generation.cancel();
    read_until([](const Crowd&) { return false; });
  }

  [[nodiscard]] bool all_started() const {
    return std::ranges::all_of(members_, [](const Member& member) {
      return member.num_tokens > 0;
    });
  }
  [[nodiscard]] bool all_done() const {
    return std::ranges::all_of(members_, [](const Member& member) { return member.is_done; });
  }
  [[nodiscard]] bool any_done() const {
    return std::ranges::any_of(members_, [](const Member& member) { return member.is_done; });
  }
  [[nodiscard]] int num_tokens() const { return num_tokens_; }
  [[nodiscard]] Clock::time_point started_at() const { return started_at_; }
  [[nodiscard]] Clock::time_point last_event_at() const { return last_event_at_; }
  [[nodiscard]] const std::vector<Member>& members() const { return members_; }

 private:
  void note(Member& member, const Event& event) {
    last_event_at_ = Clock::now();
    const int count = static_cast<int>(event.token_ids.size());
    member.num_tokens += count;
    num_tokens_ += count;
    if (!event.finish) return;
    member.is_done = true;
    member.finish = *event.finish;
    if (member.finish.error) throw Error(*member.finish.error);
  }

  const std::shared_ptr<ReadyList> ready_ = std::make_shared<ReadyList>();
  const Clock::time_point started_at_;
  Clock::time_point last_event_at_{};
  std::vector<Member> members_;
  int num_tokens_ = 0;
};

int num_prompt_tokens(const BenchLoad& load) {
  return load.kind == BenchLoad::Kind::prefill ? load.num_tokens : std::max(1, load.depth);
}

// Tokens that the first sequence may be ahead when the last one starts: one for each step of the
// others' prompts, and for each step in which a finished prompt left too little room for the next.
int drift(const BenchLoad& load) {
  const int room = std::max(1, load.step_tokens - load.batch);
  const std::int64_t num_steps = (std::int64_t{load.batch} * num_prompt_tokens(load)) / room;
  return static_cast<int>(std::min<std::int64_t>(num_steps, 1 << 24)) + load.batch;
}

int max_tokens(const BenchLoad& load) {
  return load.kind == BenchLoad::Kind::prefill ? 1 : load.num_tokens + 1 + drift(load);
}

std::vector<Request> make_requests(const BenchLoad& load, int vocab_size) {
  std::mt19937_64 random(load.seed);
  std::uniform_int_distribution<std::int32_t> draw(0, vocab_size - 1);
  std::vector<Request> requests(static_cast<std::size_t>(load.batch));
  for (Request& request : requests) {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(num_prompt_tokens(load)));
    for (std::int32_t& id : ids) id = draw(random);
    request.prompt = std::move(ids);
    request.sampling.temperature = 0.0F;
    request.stop.max_tokens = max_tokens(load);
    request.stop.ignore_eos = true;
    request.prefix_cache.is_enabled = false;  // what is measured is computed
    request.label = "bench";
  }
  return requests;
}

// The engine's own view of the batch's prefill: until the slowest sequence had its first token.
double engine_prefill_rate(const Crowd& crowd, const BenchLoad& load) {
  double slowest_ms = 0.0;
  for (const Member& member : crowd.members()) {
    slowest_ms =
        std::max(slowest_ms, member.finish.timings.queue_ms + member.finish.timings.prefill_ms);
  }
  return rate(static_cast<double>(load.batch) * load.num_tokens, slowest_ms / 1000.0);
}

// The sum of the sequences' own rates, over their whole answers.
double engine_decode_rate(const Crowd& crowd) {
  double sum = 0.0;
  for (const Member& member : crowd.members()) {
    sum +=
        rate(member.finish.usage.completion_tokens - 1, member.finish.timings.decode_ms / 1000.0);
  }
  return sum;
}

[[noreturn]] void throw_does_not_fit(const BenchLoad& load) {
  throw Error(
      ErrorCode::invalid_config,
      fmt::format(
          "{} sequences of {} tokens did not run at the same time; lower --batch, --depth or "
          "--gen, or raise --kv-memory",
          load.batch,
          bench_context_length(load)
      )
  );
}

BenchRun run_prefill(Crowd& crowd, const BenchLoad& load) {
  crowd.read_until([](const Crowd& all) { return all.all_started(); });
  const double seconds = seconds_between(crowd.started_at(), crowd.last_event_at());
  crowd.read_until([](const Crowd&) { return false; });
  return {
      seconds,
      rate(static_cast<double>(load.batch) * load.num_tokens, seconds),
      engine_prefill_rate(crowd, load)
  };
}

BenchRun run_decode(Crowd& crowd, const BenchLoad& load) {
  crowd.read_until([](const Crowd& all) { return all.all_started() || all.any_done(); });
  if (crowd.any_done()) throw_does_not_fit(load);
  const Clock::time_point from = crowd.last_event_at();
  const int num_before = crowd.num_tokens();
  const int num_wanted = num_before + load.batch * load.num_tokens;
  crowd.read_until([num_wanted](const Crowd& all) {
    return all.num_tokens() >= num_wanted || all.any_done();
  });
  const double seconds = seconds_between(from, crowd.last_event_at());
  const int num_measured = crowd.num_tokens() - num_before;
  if (crowd.num_tokens() < num_wanted && load.batch > 1) throw_does_not_fit(load);
  crowd.cancel_and_wait();
  return {seconds, rate(num_measured, seconds), engine_decode_rate(crowd)};
}

}  // namespace

int bench_context_length(const BenchLoad& load) {
  return num_prompt_tokens(load) + max_tokens(load);
}

BenchRun run_bench(Engine& engine, const BenchLoad& load) {
  Crowd crowd(engine, make_requests(load, engine.model().vocab_size));
  return load.kind == BenchLoad::Kind::prefill ? run_prefill(crowd, load) : run_decode(crowd, load);
}

}  // namespace mlxs
