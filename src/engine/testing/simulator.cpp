// An event loop over arrivals and ends of steps.
#include "engine/testing/simulator.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/page_layout.h"
#include "engine/batch.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/sequence.h"
#include "engine/testing/sim_device.h"

namespace mlxs {
namespace {

constexpr std::size_t kStepsInFlight = 2;

TimePoint at(double seconds) {
  return TimePoint(std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9)));
}

}  // namespace

Simulator::Simulator(const SchedulerOptions& options, SimCost cost, TraceSink* trace)
    : scheduler_(options, trace), device_(options.cache, options.host_pages, cost) {}

TimePoint Simulator::time() const { return at(now_s_); }

SequenceId Simulator::send(SimRequest request) {
  const SequenceId id = next_id_++;
  arrivals_.emplace(request.arrives_s, id);
  requests_.emplace(id, std::move(request));
  return id;
}

void Simulator::run(double until_s) {
  while (now_s_ < until_s) {
    take_arrivals();
    end_expired();
    submit_steps();
    const double arrival_s = arrivals_.empty() ? until_s : arrivals_.begin()->first;
    const double end_s = flights_.empty() ? until_s : flights_.front().ends_s;
    if (flights_.empty() && arrivals_.empty()) break;
    now_s_ = std::max(now_s_, std::min({arrival_s, end_s, until_s}));
    if (!flights_.empty() && end_s <= now_s_) collect_oldest();
  }
  if (now_s_ < until_s && scheduler_.num_running() + scheduler_.num_waiting() > 0)
    throw std::logic_error(fmt::format(
        "Simulator: {} run and {} wait for ever", scheduler_.num_running(), scheduler_.num_waiting()
    ));
}

void Simulator::take_arrivals() {
  while (!arrivals_.empty() && arrivals_.begin()->first <= now_s_) {
    const SequenceId id = arrivals_.begin()->second;
    arrivals_.erase(arrivals_.begin());
    const SimRequest& request = requests_.at(id);
    Sequence sequence;
    sequence.id = id;
    sequence.token_ids = request.prompt_ids;
    sequence.num_prompt_tokens = sequence.num_tokens();
    sequence.max_length = sequence.num_tokens() + request.num_output;
    sequence.seed = id;
    sequence.priority = request.priority;
    sequence.key = request.key;
    sequence.arrived_at = at(request.arrives_s);
    if (request.ttft_deadline_s > 0)
      sequence.ttft_deadline = at(request.arrives_s + request.ttft_deadline_s);
    if (request.deadline_s > 0) sequence.deadline = at(request.arrives_s + request.deadline_s);
    sequence.fork_of = request.fork_of;
    sequence.use_cache = request.use_cache;
    SimOutcome& outcome = outcomes_[id];
    outcome.arrived_s = request.arrives_s;
    outcome.admission = scheduler_.add(std::move(sequence), time());
    if (!outcome.admission.is_accepted()) outcome.end = SimEnd::refused;
  }
}

void Simulator::end_expired() {
  for (const SequenceId id : scheduler_.expired(time())) finish(id, SimEnd::expired);
}

void Simulator::submit_steps() {
  while (flights_.size() < kStepsInFlight) {
    const Batch batch = scheduler_.schedule(time());
    if (batch.is_empty()) return;
    max_rows_ = std::max(max_rows_, batch.token_ids.size());
    const auto duration = device_.duration(batch);
    device_free_s_ =
        std::max(device_free_s_, now_s_) + std::chrono::duration<double>(duration).count();
    flights_.push_back(
        {.step = batch.step,
         .ends_s = device_free_s_,
         .duration = duration,
         .tokens = device_.run(batch)}
    );
  }
}

void Simulator::collect_oldest() {
  const Flight flight = std::move(flights_.front());
  flights_.pop_front();
  const auto tokens = scheduler_.complete(
      {.step = flight.step,
       .duration = flight.duration,
       .completed_at = time(),
       .tokens = flight.tokens}
  );
  for (const NewToken& token : tokens) take_token(token);
}

void Simulator::take_token(const NewToken& token) {
  SimOutcome& outcome = outcomes_.at(token.sequence);
  const SimRequest& request = requests_.at(token.sequence);
  std::vector<std::int32_t> ids = request.prompt_ids;
  ids.insert(ids.end(), outcome.output_ids.begin(), outcome.output_ids.end());
  if (SimDevice::next_token(ids, token.sequence) != token.token.id)
    throw std::logic_error(fmt::format("Simulator: a wrong token for {}", token.sequence));
  outcome.output_ids.push_back(token.token.id);
  outcome.token_s.push_back(now_s_);
  if (std::ssize(outcome.output_ids) == request.num_output)
    finish(token.sequence, SimEnd::finished);
}

void Simulator::finish(SequenceId id, SimEnd end) {
  SimOutcome& outcome = outcomes_.at(id);
  const Sequence& sequence = *scheduler_.find(id);
  outcome.end = end;
  outcome.ended_s = now_s_;
  outcome.num_cached_tokens = sequence.num_cached_tokens;
  outcome.num_preemptions = sequence.num_recomputes + sequence.num_swaps;
  if (!scheduler_.remove(id, Keep::cached)) throw std::logic_error("Simulator: it was not there");
}

void Simulator::cancel(SequenceId id) { finish(id, SimEnd::open); }

double percentile(std::vector<double> values, double share) {
  std::ranges::sort(values);
  const auto last = static_cast<double>(values.size() - 1);
  return values.at(static_cast<std::size_t>(std::lround(share * last)));
}

}  // namespace mlxs
