// One signal for all generations: a wake says that some generation may have an event, not which.
#include "server/generation_group.h"

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mlx_serving/engine.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"
#include "server/api_context.h"
#include "server/http/task.h"
#include "server/inspect/request_log.h"

namespace mlxs {

GenerationGroup::GenerationGroup(
    const ApiContext& context,
    std::vector<Request> requests,
    int num_choices,
    const Executor& executor
)
    : log_(context.requests), signal_(executor) {
  const std::string label = requests.front().label;
  const std::string share = requests.front().scheduling.key;
  for (Request& request : requests) {
    for (Generation& generation : context.engine.submit(std::move(request), num_choices)) {
      generations_.push_back(std::move(generation));
      generations_.back().on_ready(signal_.waker());
    }
  }
  is_finished_.assign(generations_.size(), 0);
  has_token_.assign(generations_.size(), 0);
  number_ = log_.begin(label, share, generations_.size());
}

GenerationGroup::~GenerationGroup() {
  if (num_finished_ < generations_.size()) log_.dropped(number_);
}

// Only milestones: the log is shared by all streams.
void GenerationGroup::note(std::size_t index, const Event& event) {
  if (event.prompt_tokens) log_.accepted(number_, index, *event.prompt_tokens);
  if (!event.token_ids.empty() && has_token_[index] == 0) {
    has_token_[index] = 1;
    log_.got_token(number_, index);
  }
  if (event.finish) log_.finished(number_, index, *event.finish);
}

std::optional<GroupEvent> GenerationGroup::try_next() {
  for (std::size_t i = 0; i < generations_.size(); ++i) {
    const std::size_t index = turn_;
    turn_ = (turn_ + 1) % generations_.size();
    if (is_finished_[index] != 0) continue;
    std::optional<Event> event = generations_[index].try_next();
    if (!event) continue;
    note(index, *event);
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
