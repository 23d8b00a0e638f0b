// The first stage of a request, on threads of its own: checks it, renders the chat template,
// tokenizes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "engine/engine_parts.h"
#include "engine/open_requests.h"
#include "engine/output_plan.h"
#include "mlx_serving/request.h"
#include "sampling/token_rules.h"

namespace mlxs {

// A request, and the ticket of each answer that it asks for.
struct SubmittedRequest {
  Request request;
  std::vector<Ticket> tickets;
};

// A request as the engine's loop takes it.
struct PreparedRequest {
  std::vector<std::int32_t> prompt_ids = {};
  int max_length = 0;  // tokens of prompt and output at which it ends
  SamplingParams sampling = {};
  std::shared_ptr<const TokenRules> rules = {};  // null: none
  std::optional<Pooling> pooling = {};
  bool returns_prompt = false;
  StopParams stop = {};
  SchedulingParams scheduling = {};
  PrefixCacheParams prefix_cache = {};
  OutputPlan output = {};
  std::vector<Ticket> tickets;  // at least one
};

// Thread safety: submit() and close() may be called from any thread; `deliver` is called from the
// workers.
class TextStage {
 public:
  using Deliver = std::function<void(PreparedRequest)>;

  // `parts` gives the model's text side; `capacity` is of the queue in front of the workers.
  TextStage(const EngineParts& parts, std::size_t capacity, Deliver deliver);
  ~TextStage();
  TextStage(const TextStage&) = delete;
  TextStage& operator=(const TextStage&) = delete;

  // A request that is wrong ends here with its error. A full or closed queue drops it, and its
  // ticket says so.
  void submit(SubmittedRequest submitted);

  // Ends every queued request with shutting_down and joins the workers.
  void close();

 private:
  void work(BoundedQueue<SubmittedRequest>& queue);
  void prepare_and_deliver(SubmittedRequest submitted);

  const ModelInfo info_;
  const std::shared_ptr<const TextModel> text_;
  const Deliver deliver_;
  BoundedQueue<SubmittedRequest> queue_;
  BoundedQueue<SubmittedRequest> slow_queue_;  // with grammars, which may take seconds to compile
  std::atomic<bool> is_closing_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace mlxs
