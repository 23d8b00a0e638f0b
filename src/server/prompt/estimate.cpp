// POST /v1/estimate: a chat or completion body, not run. It tells what the engine knows before a
// request runs, and nothing that it would have to guess.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/request.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"
#include "server/openai/call.h"
#include "server/prompt/prompt_body.h"
#include "server/prompt/routes.h"

namespace mlxs {
namespace {

struct Need {
  std::int64_t prompt_tokens = 0;  // of all prompts, each counted once
  std::int64_t max_tokens = 0;     // of prompts and answers at their longest, all choices
  std::int64_t longest = 0;        // of one prompt and its answer
};

Need need_of(const Engine& engine, const Call& call) {
  const std::int64_t context_length = engine.model().context_length;
  Need need;
  for (std::size_t i = 0; i < call.requests.size(); i += call.num_choices) {
    const Request& request = call.requests[i];
    const auto prompt = static_cast<std::int64_t>(engine.prompt_token_ids(request.prompt).size());
    const std::int64_t left = std::max<std::int64_t>(context_length - prompt, 0);
    const std::int64_t answer = request.stop.max_tokens ? *request.stop.max_tokens : left;
    need.prompt_tokens += prompt;
    need.max_tokens += (prompt + answer) * static_cast<std::int64_t>(call.num_choices);
    need.longest = std::max(need.longest, prompt + std::max<std::int64_t>(answer, 1));
  }
  return need;
}

json::object estimate(const Engine& engine, const Call& call) {
  const Need need = need_of(engine, call);
  const ModelInfo& model = engine.model();
  const EngineStats stats = engine.stats();
  const std::int64_t page_size = std::max(stats.page_size, 1);
  const std::int64_t num_pages = (need.longest + page_size - 1) / page_size;
  json::object body;
  body["object"] = "estimate";
  body["prompt_tokens"] = need.prompt_tokens;
  body["max_total_tokens"] = need.max_tokens;
  body["context_length"] = model.context_length;
  body["fits_context"] = need.longest <= model.context_length;
  body["max_kv_bytes"] = need.max_tokens * model.kv_bytes_per_token;
  body["fits_kv_memory"] = num_pages <= stats.num_pages;
  body["free_kv_tokens"] = std::int64_t{stats.num_free_pages} * page_size;
  body["total_kv_tokens"] = std::int64_t{stats.num_pages} * page_size;
  body["num_running"] = stats.num_running;
  body["num_waiting"] = stats.num_waiting;
  return body;
}

}  // namespace

Task<void> handle_estimate(const ApiContext& context, Exchange& exchange) {
  json::object object = parse_object(exchange.request().body);
  const Call call = object.contains("messages")
                        ? parse_chat_object(std::move(object), context.model)
                        : parse_completion_object(std::move(object), context.model);
  const json::object body =
      co_await context.offload.run([&] { return estimate(context.engine, call); });
  co_await exchange.respond(json_response(body));
}

}  // namespace mlxs
