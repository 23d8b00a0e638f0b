// The generations of one HTTP request, read as one. Destroying the group cancels what still runs.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "mlx_serving/engine.h"
#include "server/api_context.h"
#include "server/http/task.h"
#include "server/inspect/request_log.h"
#include "server/wake_signal.h"

namespace mlxs {

struct GroupEvent {
  std::size_t index = 0;  // of the answer
  Event event;
};

// Thread safety: on the executor only.
class GenerationGroup {
 public:
  // Submits every request for `num_choices` answers; the answers of one stand together.
  // REQUIRES: the context outlives it; all requests have one label.
  // ERRORS: as Engine::submit; what was submitted before is cancelled then.
  GenerationGroup(
      const ApiContext& context,
      std::vector<Request> requests,
      int num_choices,
      const Executor& executor
  );
  ~GenerationGroup();
  GenerationGroup(const GenerationGroup&) = delete;
  GenerationGroup& operator=(const GenerationGroup&) = delete;

  [[nodiscard]] std::size_t size() const { return generations_.size(); }

  // RETURNS: an event that waits, the requests taking turns; nothing where none does.
  [[nodiscard]] std::optional<GroupEvent> try_next();

  // Waits for an event. RETURNS: nothing once every request is finished.
  Task<std::optional<GroupEvent>> next();

 private:
  void note(std::size_t index, const Event& event);

  RequestLog& log_;
  RequestLog::Number number_ = 0;
  WakeSignal signal_;  // outlives the generations, whose wakers point to it
  std::vector<Generation> generations_;
  std::vector<char> is_finished_;
  std::vector<char> has_token_;
  std::size_t num_finished_ = 0;
  std::size_t turn_ = 0;
};

}  // namespace mlxs
