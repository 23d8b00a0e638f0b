// As openai/answer.cpp, for one generation: the status is sent once the engine accepted the
// request, and while the client's socket is full, deltas merge in the engine.
#include "server/door/answer_one.h"

#include <boost/asio/this_coro.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"
#include "server/api_context.h"
#include "server/generation_group.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/task.h"
#include "server/openai/tool_fields.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxWriteBytes = std::size_t{64} << 10;

class Run {
 public:
  Run(Exchange& exchange, DoorForm& form) : exchange_(exchange), form_(form) {}

  Task<void> whole(GenerationGroup& group);
  Task<void> stream(GenerationGroup& group);

 private:
  void apply(const Event& event);
  Task<void> stream_rest(GenerationGroup& group, std::string pending);
  void note_usage();

  Exchange& exchange_;
  DoorForm& form_;
  DoorResult result_;
};

// ERRORS: what ended the generation, if not its own end.
void Run::apply(const Event& event) {
  result_.text += event.text;
  result_.reasoning += event.reasoning;
  add_tool_calls(event.tool_calls, result_.tool_calls);
  result_.token_ids.insert(result_.token_ids.end(), event.token_ids.begin(), event.token_ids.end());
  result_.logprobs.insert(result_.logprobs.end(), event.logprobs.begin(), event.logprobs.end());
  if (!event.finish) return;
  if (event.finish->reason == FinishReason::cancelled)
    throw Error(ErrorCode::cancelled, "the request was cancelled");
  if (event.finish->reason == FinishReason::error) {
    const Error error =
        event.finish->error.value_or(Error(ErrorCode::engine_error, "the request failed"));
    // The engine calls every prompt "prompt".
    const bool is_prompt = error.param() == "prompt";
    throw Error(
        error.code(), error.what(), is_prompt ? std::string(form_.prompt_param()) : error.param()
    );
  }
  result_.finish = *event.finish;
}

void Run::note_usage() {
  const Usage& usage = result_.finish.usage;
  exchange_.note("prompt_tokens", static_cast<std::size_t>(usage.prompt_tokens));
  exchange_.note("completion_tokens", static_cast<std::size_t>(usage.completion_tokens));
}

Task<void> Run::whole(GenerationGroup& group) {
  while (std::optional<GroupEvent> event = co_await group.next()) apply(event->event);
  note_usage();
  co_await form_.finished(result_);
  HttpResponse response;
  response.body = form_.whole(result_);
  co_await exchange_.respond(std::move(response));
}

Task<void> Run::stream_rest(GenerationGroup& group, std::string pending) {
  co_await exchange_.write(pending);
  while (std::optional<GroupEvent> event = co_await group.next()) {
    pending.clear();
    while (event) {
      apply(event->event);
      if (!event->event.text.empty() || !event->event.token_ids.empty())
        pending += form_.delta(event->event);
      if (pending.size() >= kMaxWriteBytes) break;
      event = group.try_next();
    }
    co_await exchange_.write(pending);
  }
  note_usage();
  co_await form_.finished(result_);
  pending = form_.closing(result_);
  co_await exchange_.write(pending);
}

Task<void> Run::stream(GenerationGroup& group) {
  const std::optional<GroupEvent> first = co_await group.next();
  if (!first) co_return;
  apply(first->event);
  std::string pending = form_.opening(first->event.prompt_tokens.value_or(0));
  if (!first->event.text.empty() || !first->event.token_ids.empty())
    pending += form_.delta(first->event);
  const std::string_view type = form_.stream_type();
  co_await exchange_.begin_stream(type);
  std::optional<Error> fault;
  try {
    co_await stream_rest(group, std::move(pending));
  } catch (const Error& error) {
    fault = error;
  }
  if (fault) {
    const HttpFault told = fault_of(*fault);
    co_await form_.failed(told);
    const std::string last = form_.broken(told);
    co_await exchange_.write(last);
  }
  co_await exchange_.end_stream(fault ? StreamEnd::broken : StreamEnd::complete);
}

}  // namespace

Task<void> DoorForm::finished(const DoorResult& result) {
  static_cast<void>(result);
  co_return;
}

Task<void> DoorForm::failed(const HttpFault& fault) {
  static_cast<void>(fault);
  co_return;
}

void check_not_draining(const ApiContext& context) {
  if (!context.service.is_draining) return;
  throw Error(ErrorCode::shutting_down, "the server is shutting down; send the request to another");
}

Task<void> answer_one(
    const ApiContext& context, Exchange& exchange, DoorCall call, DoorForm& form
) {
  check_not_draining(context);
  if (!call.prefill.empty()) std::get<ChatPrompt>(call.request.prompt).prefill = call.prefill;
  call.request.label = exchange.request().id;
  call.request.account = exchange.request().owner;
  call.request.traceparent = exchange.request().traceparent;
  call.request.scheduling.key = exchange.request().share;
  call.request.scheduling.key_weight = exchange.request().weight;
  const Executor executor = co_await boost::asio::this_coro::executor;
  std::vector<Request> requests;
  requests.push_back(std::move(call.request));
  GenerationGroup group(context, std::move(requests), /*num_choices=*/1, executor);
  Run run(exchange, form);
  if (call.mode == ReplyMode::stream) {
    co_await run.stream(group);
  } else {
    co_await run.whole(group);
  }
}

std::string named_event(std::string_view name, std::string_view body) {
  std::string event = "event: ";
  event += name;
  event += "\ndata: ";
  event += body;
  event += "\n\n";
  return event;
}

}  // namespace mlxs
