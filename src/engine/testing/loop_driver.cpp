// The reader's side is polled after each turn.
#include "engine/testing/loop_driver.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "engine/doorbell.h"
#include "engine/event_stream.h"
#include "engine/text_stage.h"

namespace mlxs::testing {
namespace {

constexpr std::size_t kQueue = 4096;
constexpr int kMaxTurns = 1'000'000;

}  // namespace

LoopDriver::LoopDriver(const EngineParts& parts, Turns turns)
    : turns_(turns), loop_(parts, kQueue, [bell = bell_] { bell->ring(); }) {}

std::size_t LoopDriver::submit(DriverRequest request) {
  auto stream = std::make_shared<EventStream>(bell_);
  if (!open_->try_add(1)) throw std::logic_error("LoopDriver: too many requests");
  PreparedRequest prepared;
  prepared.prompt_ids = std::move(request.prompt_ids);
  prepared.sampling = std::move(request.sampling);
  prepared.max_length = static_cast<int>(prepared.prompt_ids.size()) + request.num_tokens;
  prepared.stop.ignore_eos = true;
  prepared.scheduling.priority = request.priority;
  prepared.tickets.emplace_back(open_, stream);
  answers_.push_back({.generation = Generation(std::move(stream)), .token_ids = {}, .finish = {}});
  if (!loop_.commands().try_push(std::move(prepared)))
    throw std::logic_error("LoopDriver: the loop takes no more");
  return answers_.size() - 1;
}

bool LoopDriver::read() {
  bool are_all_done = true;
  for (DriverAnswer& answer : answers_) {
    while (auto event = answer.generation.try_next()) {
      answer.token_ids.insert(
          answer.token_ids.end(), event->token_ids.begin(), event->token_ids.end()
      );
      if (event->finish) answer.finish = std::move(event->finish);
    }
    are_all_done = are_all_done && answer.finish.has_value();
  }
  return are_all_done;
}

bool LoopDriver::turn() { return turns_ == Turns::plain ? loop_.step_plain() : loop_.step(); }

void LoopDriver::take_turns(int count) {
  for (int i = 0; i < count; ++i) (void)turn();
  (void)read();
}

void LoopDriver::run() {
  for (int i = 0; i < kMaxTurns; ++i) {
    (void)turn();
    if (read()) return;
  }
  throw std::runtime_error("LoopDriver: the requests do not end");
}

const std::vector<std::int32_t>& LoopDriver::tokens(std::size_t index) {
  const Finish& end = finish(index);
  if (end.error) throw std::runtime_error(end.error->what());
  return answers_.at(index).token_ids;
}

const Finish& LoopDriver::finish(std::size_t index) {
  const DriverAnswer& answer = answers_.at(index);
  if (!answer.finish)
    throw std::runtime_error(fmt::format("LoopDriver: request {} is not done", index));
  return *answer.finish;
}

EngineStats LoopDriver::stats() const {
  EngineStats stats;
  loop_.read_stats(stats);
  return stats;
}

}  // namespace mlxs::testing
