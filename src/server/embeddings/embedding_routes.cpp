// The forms of the answers.
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "server/api_context.h"
#include "server/embeddings/call.h"
#include "server/embeddings/embed.h"
#include "server/embeddings/routes.h"
#include "server/http/exchange.h"
#include "server/http/task.h"
#include "server/prompt/prompt_body.h"

namespace mlxs {
namespace {

json::array number_array(const std::vector<float>& values) {
  return json::array(values.begin(), values.end());
}

}  // namespace

Task<void> handle_embeddings(const ApiContext& context, Exchange& exchange) {
  EmbeddingsCall call =
      parse_embeddings_call(exchange.request().body, context.model, context.pooling);
  const Embedded embedded = co_await embed(context, exchange, std::move(call.embed));
  json::array items;
  for (std::size_t i = 0; i < embedded.embeddings.size(); ++i) {
    const std::vector<float>& values = embedded.embeddings[i];
    json::object item;
    item["object"] = "embedding";
    item["index"] = i;
    item["embedding"] =
        call.is_base64 ? json::value(json::string(base64_of(values))) : number_array(values);
    items.push_back(std::move(item));
  }
  json::object body;
  body["object"] = "list";
  body["data"] = std::move(items);
  body["model"] = call.model;
  body["usage"] = {
      {"prompt_tokens", embedded.usage.prompt_tokens},
      {"total_tokens", embedded.usage.prompt_tokens}
  };
  co_await exchange.respond(json_response(body));
}

// One embedding a text; llama-server's list has one for each of its pooled rows.
Task<void> handle_llama_embedding(const ApiContext& context, Exchange& exchange) {
  EmbedCall call = parse_llama_embedding(exchange.request().body, context.model, context.pooling);
  const Embedded embedded = co_await embed(context, exchange, std::move(call));
  json::array body;
  for (std::size_t i = 0; i < embedded.embeddings.size(); ++i) {
    json::array rows;
    rows.push_back(number_array(embedded.embeddings[i]));
    json::object item;
    item["index"] = i;
    item["embedding"] = std::move(rows);
    body.push_back(std::move(item));
  }
  co_await exchange.respond(json_response(body));
}

Task<void> handle_ollama_embed(const ApiContext& context, Exchange& exchange) {
  EmbeddingsCall call = parse_ollama_embed(exchange.request().body, context.model, context.pooling);
  const Embedded embedded = co_await embed(context, exchange, std::move(call.embed));
  json::array rows;
  for (const std::vector<float>& values : embedded.embeddings) rows.push_back(number_array(values));
  json::object body;
  body["model"] = call.model;
  body["embeddings"] = std::move(rows);
  body["total_duration"] = std::llround(embedded.prefill_ms * 1e6);
  body["load_duration"] = 0;
  body["prompt_eval_count"] = embedded.usage.prompt_tokens;
  co_await exchange.respond(json_response(body));
}

Task<void> handle_ollama_embeddings(const ApiContext& context, Exchange& exchange) {
  EmbeddingsCall call =
      parse_ollama_embeddings(exchange.request().body, context.model, context.pooling);
  const Embedded embedded = co_await embed(context, exchange, std::move(call.embed));
  json::object body;
  body["embedding"] = number_array(embedded.embeddings.front());
  co_await exchange.respond(json_response(body));
}

}  // namespace mlxs
