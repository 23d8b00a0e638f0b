// Drives an engine's loop turn by turn on the caller's thread, which makes every run the same: what
// the tests of whole paths use instead of an Engine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/engine_loop.h"
#include "engine/engine_parts.h"
#include "engine/open_requests.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/event.h"

namespace mlxs::testing {

enum class Turns {
  pipelined,  // EngineLoop::step()
  plain,      // EngineLoop::step_plain()
};

struct DriverRequest {
  std::vector<std::int32_t> prompt_ids = {};
  int num_tokens = 0;
  int priority = 0;
  SamplingParams sampling{.temperature = 0.0F};
};

// The answer to one request, as far as it came.
struct DriverAnswer {
  Generation generation;
  std::vector<std::int32_t> token_ids = {};
  std::optional<Finish> finish = {};
};

// Thread safety: none.
class LoopDriver {
 public:
  LoopDriver(const EngineParts& parts, Turns turns);

  // RETURNS: the index of its answer.
  std::size_t submit(DriverRequest request);

  // Takes turns until all have ended. ERRORS: std::runtime_error where that takes too many.
  void run();
  // Takes `count` turns.
  void take_turns(int count);

  // RETURNS: the sampled tokens. ERRORS: std::runtime_error where the request did not end well.
  [[nodiscard]] const std::vector<std::int32_t>& tokens(std::size_t index);
  [[nodiscard]] const Finish& finish(std::size_t index);

  [[nodiscard]] EngineStats stats() const;
  [[nodiscard]] EngineLoop& loop() { return loop_; }

 private:
  bool turn();
  bool read();

  const Turns turns_;
  const std::shared_ptr<Doorbell> bell_ = std::make_shared<Doorbell>();
  const std::shared_ptr<OpenRequests> open_ = std::make_shared<OpenRequests>(1 << 20);
  EngineLoop loop_;
  std::vector<DriverAnswer> answers_;
};

}  // namespace mlxs::testing
