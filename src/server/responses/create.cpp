// POST /v1/responses: with the client waiting, or in the background.
#include <boost/system/system_error.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/request.h"
#include "server/api_context.h"
#include "server/door/answer_one.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/task.h"
#include "server/openai/messages.h"
#include "server/prompt/prompt_body.h"
#include "server/responses/background_jobs.h"
#include "server/responses/call.h"
#include "server/responses/find_response.h"
#include "server/responses/response_form.h"
#include "server/responses/response_object.h"
#include "server/responses/response_store.h"
#include "server/responses/routes.h"

namespace mlxs {
namespace {

// The answer to a job has no reader: what it says is in the store.
class NobodysExchange final : public Exchange {
 public:
  NobodysExchange(HttpService& service, std::string request_id) : Exchange(service) {
    mutable_request().id = std::move(request_id);
  }

 private:
  Task<void> send_whole(HttpResponse) override { co_return; }
  Task<void> send_stream_head(std::string_view) override { co_return; }
  Task<void> send_piece(std::string_view) override { co_return; }
  Task<void> send_stream_end(StreamEnd) override { co_return; }
};

struct Job {
  DoorCall door;
  ResponseForm form;
  std::string request_id;
};

// What ends it early is part of the response; a cancellation was stored by who cancelled.
// `owner` keeps the context where its model may be unloaded.
Task<void> run_job(
    const ApiContext& context, std::shared_ptr<Job> job, std::shared_ptr<const void> owner
) {
  static_cast<void>(owner);
  NobodysExchange exchange(context.service, job->request_id);
  std::optional<HttpFault> fault;
  try {
    co_await answer_one(context, exchange, std::move(job->door), job->form);
  } catch (const Error& error) {
    fault = fault_of(error);
  }
  if (fault) co_await job->form.failed(*fault);
}

// RETURNS: the messages before the answer, without the instructions.
Task<json::array> conversation_of(
    const ApiContext& context, const Exchange& exchange, const ResponsesCall& call
) {
  json::array messages;
  if (!call.previous_response_id.empty()) {
    const std::string id = call.previous_response_id;
    const StoredResponse previous = co_await find_response(context, exchange, id);
    if (previous.status == "in_progress") {
      throw Error(
          ErrorCode::invalid_value,
          "the previous response is not finished; wait for it or cancel it",
          "previous_response_id"
      );
    }
    messages = parse_json(previous.conversation).as_array();
  }
  for (const json::value& message : call.input.messages) messages.push_back(message);
  co_return messages;
}

ChatPrompt prompt_of(const ResponsesCall& call, const json::array& conversation) {
  json::array messages;
  if (!call.instructions.empty())
    messages.push_back(json::object{{"role", "system"}, {"content", call.instructions}});
  for (const json::value& message : conversation) messages.push_back(message);
  ChatPrompt prompt;
  prompt.messages_json = normalize_messages(messages, "input");
  prompt.tools_json = call.tools_json;
  return prompt;
}

ResponseForm make_form(
    const ApiContext& context,
    const Exchange& exchange,
    const ResponsesCall& call,
    const json::array& conversation
) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  ResponseFacts facts{
      .id = context.service.ids.next("resp_"),
      .message_id = context.service.ids.next("msg_"),
      .created_at = std::chrono::duration_cast<std::chrono::seconds>(now).count(),
      .echo = call.echo,
      .is_stored = call.is_stored,
      .is_background = call.is_background
  };
  StoredResponse stored{
      .id = facts.id,
      .owner = exchange.request().owner,
      .status = "in_progress",
      .response = json::serialize(unfinished_response(facts)),
      .input = json::serialize(call.input.items),
      .conversation = json::serialize(conversation)
  };
  return {context, std::move(facts), std::move(stored)};
}

}  // namespace

Task<void> handle_response_create(const ApiContext& context, Exchange& exchange) {
  ResponsesCall call =
      parse_responses_call(exchange.request().body, context.model, context.service.ids);
  const json::array conversation = co_await conversation_of(context, exchange, call);
  call.door.request.prompt = prompt_of(call, conversation);
  ResponseForm form = make_form(context, exchange, call, conversation);
  if (!call.is_background) {
    co_await answer_one(context, exchange, std::move(call.door), form);
    co_return;
  }
  check_not_draining(context);
  static_cast<void>(co_await context.offload.run([&] {
    context.responses.insert(form.stored());
    return true;
  }));
  HttpResponse response;
  response.body = form.stored().response;
  const std::string id = form.facts().id;
  auto job =
      std::make_shared<Job>(Job{std::move(call.door), std::move(form), exchange.request().id});
  context.jobs.start(id, [&context, job, owner = context.owner.lock()] {
    return run_job(context, job, owner);
  });
  co_await exchange.respond(std::move(response));
}

Task<void> handle_response_token_count(const ApiContext& context, Exchange& exchange) {
  const ResponsesCall call =
      parse_input_tokens_call(exchange.request().body, context.model, context.service.ids);
  const json::array conversation = co_await conversation_of(context, exchange, call);
  const Prompt prompt = prompt_of(call, conversation);
  const std::size_t num_tokens =
      co_await context.offload.run([&] { return context.engine.prompt_token_ids(prompt).size(); });
  json::object body;
  body["object"] = "response.input_tokens";
  body["input_tokens"] = num_tokens;
  co_await exchange.respond(json_response(body));
}

}  // namespace mlxs
