// POST /apply-template and the count of a chat's tokens.
#include <string>
#include <variant>

#include "base/json.h"
#include "mlx_serving/request.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"
#include "server/openai/call.h"
#include "server/prompt/prompt_body.h"
#include "server/prompt/routes.h"

namespace mlxs {

Task<void> handle_apply_template(const ApiContext& context, Exchange& exchange) {
  const Call call = parse_chat_object(parse_object(exchange.request().body), context.model);
  const ChatPrompt& prompt = std::get<ChatPrompt>(call.requests.front().prompt);
  const std::string text =
      co_await context.offload.run([&] { return context.engine.apply_template(prompt); });
  json::object body;
  body["prompt"] = text;
  co_await exchange.respond(json_response(body));
}

Task<void> handle_chat_token_count(const ApiContext& context, Exchange& exchange) {
  const Call call = parse_chat_object(parse_object(exchange.request().body), context.model);
  const Prompt& prompt = call.requests.front().prompt;
  const std::size_t num_tokens =
      co_await context.offload.run([&] { return context.engine.prompt_token_ids(prompt).size(); });
  json::object body;
  body["object"] = "response.input_tokens";
  body["input_tokens"] = num_tokens;
  co_await exchange.respond(json_response(body));
}

}  // namespace mlxs
