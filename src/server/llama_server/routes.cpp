// POST /completion, GET /props and GET /slots. This engine has no slots of its own: each place for
// a running sequence is shown as one, the busy ones first.
#include "server/llama_server/routes.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "server/api_context.h"
#include "server/door/answer_one.h"
#include "server/http/exchange.h"
#include "server/http/task.h"
#include "server/llama_server/call.h"
#include "server/llama_server/completion_form.h"
#include "server/prompt/prompt_body.h"

namespace mlxs {
namespace {

// The first piece, where it is a text, gets what the model expects at a beginning.
std::vector<std::int32_t> join_pieces(const Engine& engine, const LlamaCall& call) {
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < call.pieces.size(); ++i) {
    if (const auto* id = std::get_if<std::int32_t>(&call.pieces[i])) {
      ids.push_back(*id);
      continue;
    }
    const auto& text = std::get<std::string>(call.pieces[i]);
    const auto piece = engine.tokenize(text, {.add_special_tokens = i == 0});
    ids.insert(ids.end(), piece.begin(), piece.end());
  }
  return ids;
}

json::object settings_of(const Request& request, int context_length) {
  json::object settings = sampling_object(request.sampling);
  settings["n_ctx"] = context_length;
  settings["n_predict"] = request.stop.max_tokens.value_or(-1);
  settings["stop"] = json::array(request.stop.stop.begin(), request.stop.stop.end());
  settings["ignore_eos"] = request.stop.ignore_eos;
  return settings;
}

}  // namespace

Task<void> handle_llama_completion(const ApiContext& context, Exchange& exchange) {
  LlamaCall call = parse_llama_completion(exchange.request().body, context.model);
  if (!call.pieces.empty()) {
    std::vector<std::int32_t> ids =
        co_await context.offload.run([&] { return join_pieces(context.engine, call); });
    call.door.request.prompt = std::move(ids);
  }
  LlamaForm form(
      {.engine = context.engine,
       .model = context.model.names.front(),
       .settings = settings_of(call.door.request, context.model.info.context_length),
       .returns_tokens = call.returns_tokens,
       .tells_probabilities = call.tells_probabilities,
       .probabilities_of = call.door.request.sampling.logprobs.of}
  );
  co_await answer_one(context, exchange, std::move(call.door), form);
}

Task<void> handle_llama_props(const ApiContext& context, Exchange& exchange) {
  const ModelInfo& info = context.model.info;
  json::object defaults;
  defaults["params"] = sampling_object(info.default_sampling);
  defaults["n_ctx"] = info.context_length;
  json::object body;
  body["default_generation_settings"] = std::move(defaults);
  body["total_slots"] = context.engine.stats().max_sequences;
  body["model_alias"] = context.model.names.front();
  body["modalities"] = {{"vision", false}, {"audio", false}};
  body["build_info"] = "mlx-serving " MLXS_VERSION;
  co_await exchange.respond(json_response(body));
}

Task<void> handle_llama_slots(const ApiContext& context, Exchange& exchange) {
  const EngineStats stats = context.engine.stats();
  json::array slots;
  for (int i = 0; i < stats.max_sequences; ++i) {
    json::object slot;
    slot["id"] = i;
    slot["n_ctx"] = context.model.info.context_length;
    slot["is_processing"] = i < stats.num_running;
    slots.push_back(std::move(slot));
  }
  co_await exchange.respond(json_response(slots));
}

}  // namespace mlxs
