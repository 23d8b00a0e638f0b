// POST /detokenize. vLLM and llama-server take the same body and name the text differently: both
// names are in the reply.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"
#include "server/prompt/prompt_body.h"
#include "server/prompt/routes.h"

namespace mlxs {
namespace {

std::vector<std::int32_t> parse_detokenize_call(const std::string& text, const ApiModel& model) {
  const json::value value = parse_json(text);
  FieldReader fields(value, "");
  if (const auto name = fields.string("model")) check_model_name(model, *name);
  const json::array* tokens = fields.array("tokens");
  if (tokens == nullptr)
    throw Error(ErrorCode::invalid_request, "you must provide a tokens parameter", "tokens");
  fields.finish();
  const IntegerRule rule{"tokens", 0, model.info.vocab_size - 1};
  std::vector<std::int32_t> ids;
  ids.reserve(tokens->size());
  for (std::size_t i = 0; i < tokens->size(); ++i) {
    ids.push_back(
        static_cast<std::int32_t>(checked_integer((*tokens)[i], rule, element_path("tokens", i)))
    );
  }
  return ids;
}

}  // namespace

Task<void> handle_detokenize(const ApiContext& context, Exchange& exchange) {
  const std::vector<std::int32_t> ids =
      parse_detokenize_call(exchange.request().body, context.model);
  const std::string text = co_await context.offload.run([&] {
    return context.engine.detokenize(ids, {.skip_special_tokens = false});
  });
  json::object body;
  body["prompt"] = text;
  body["content"] = text;
  co_await exchange.respond(json_response(body));
}

}  // namespace mlxs
