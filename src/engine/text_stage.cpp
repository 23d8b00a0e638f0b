// The workers' loop, and what becomes of each form of prompt.
#include "engine/text_stage.h"

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/bounded_queue.h"
#include "engine/engine_parts.h"
#include "engine/open_requests.h"
#include "engine/output_plan.h"
#include "engine/prompt_text.h"
#include "engine/request_check.h"
#include "engine/token_rules_text.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "mlx_serving/output.h"
#include "mlx_serving/request.h"

namespace mlxs {

TextStage::TextStage(const EngineParts& parts, std::size_t capacity, Deliver deliver)
    : info_(parts.info),
      text_(parts.text),
      deliver_(std::move(deliver)),
      queue_(capacity),
      slow_queue_(capacity) {
  for (int i = 0; i < parts.num_text_workers; ++i) workers_.emplace_back([this] { work(queue_); });
  workers_.emplace_back([this] { work(slow_queue_); });
}

TextStage::~TextStage() { close(); }

void TextStage::submit(SubmittedRequest submitted) {
  auto& queue = needs_grammar(submitted.request) ? slow_queue_ : queue_;
  static_cast<void>(queue.try_push(std::move(submitted)));
}

void TextStage::close() {
  is_closing_ = true;
  queue_.close();
  slow_queue_.close();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void TextStage::work(BoundedQueue<SubmittedRequest>& queue) {
  while (auto submitted = queue.pop()) {
    if (!is_closing_) prepare_and_deliver(std::move(*submitted));
  }
}

void TextStage::prepare_and_deliver(SubmittedRequest submitted) {
  std::vector<Ticket> tickets;
  for (Ticket& ticket : submitted.tickets) {
    if (ticket.stream().is_cancelled()) {
      ticket.finish({.reason = FinishReason::cancelled});
    } else {
      tickets.push_back(std::move(ticket));
    }
  }
  if (tickets.empty()) return;
  const auto refuse = [&tickets](const Error& error) {
    for (Ticket& ticket : tickets) ticket.fail(error);
  };
  Request& request = submitted.request;
  try {
    if (request.pooling) request.stop.max_tokens = 1;  // it ends at the end of its prompt
    check_request(request, info_);
    if (auto* chat = std::get_if<ChatPrompt>(&request.prompt);
        chat != nullptr && request.tools.choice == ToolChoice::none)
      chat->tools_json.clear();
    auto rules = make_token_rules(request, info_, *text_);
    auto token_ids = prompt_ids(request.prompt, info_, *text_);
    truncate_prompt(request, info_, token_ids);
    const int max_length = check_prompt(token_ids, request.stop, info_);
    OutputPlan output = plan_output(request, token_ids, *text_);
    make_guides(output, tickets.size(), *text_);
    deliver_(
        {.prompt_ids = std::move(token_ids),
         .max_length = max_length,
         .sampling = std::move(request.sampling),
         .rules = std::move(rules),
         .pooling = request.pooling,
         .returns_prompt = request.returns_prompt,
         .stop = std::move(request.stop),
         .scheduling = std::move(request.scheduling),
         .prefix_cache = std::move(request.prefix_cache),
         .output = std::move(output),
         .tickets = std::move(tickets)}
    );
  } catch (const Error& error) {
    refuse(error);
  } catch (const std::exception& error) {
    refuse(Error(
        ErrorCode::engine_error, fmt::format("the prompt could not be prepared: {}", error.what())
    ));
  }
}

}  // namespace mlxs
