// One signal for all generations: a wake says that some generation may have an event, not which.
#include "server/generation_group.h"

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "mlx_serving/engine.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"
#include "server/http/task.h"

namespace mlxs {

GenerationGroup::GenerationGroup(
    Engine& engine, std::vector<Request> requests, int num_choices, const Executor& executor
)
    : signal_(executor) {
  for (Request& request : requests) {
    for (Generation& generation : engine.submit(std::move(request), num_choices)) {
      generations_.push_back(std::move(generation));
      generations_.back().on_ready(signal_.waker());
    }
  }
  is_finished_.assign(generations_.size(), 0);
}

std::optional<GroupEvent> GenerationGroup::try_next() {
  for (std::size_t i = 0; i < generations_.size(); ++i) {
    const std::size_t index = turn_;
    turn_ = (turn_ + 1) % generations_.size();
    if (is_finished_[index] != 0) continue;
    std::optional<Event> event = generations_[index].try_next();
    if (!event) continue;
    if (event->finish) {
      is_finished_[index] = 1;
      ++num_finished_;
    }
    return GroupEvent{index, std::move(*event)};
  }
  return std::nullopt;
}

Task<std::optional<GroupEvent>> GenerationGroup::next() {
  while (num_finished_ < generations_.size()) {
    std::optional<GroupEvent> event = try_next();
    if (event) co_return event;
    co_await signal_.wait();
  }
  co_return std::nullopt;
}

}  // namespace mlxs
