// A route whose path is more particular stands before a wider one.
#include "server/route_table.h"

#include <vector>

#include "server/anthropic/error_body.h"
#include "server/anthropic/routes.h"
#include "server/api_context.h"
#include "server/embeddings/routes.h"
#include "server/http/exchange.h"
#include "server/http/router.h"
#include "server/inspect/routes.h"
#include "server/llama_server/error_body.h"
#include "server/llama_server/routes.h"
#include "server/models/routes.h"
#include "server/monitoring/routes.h"
#include "server/ollama/error_body.h"
#include "server/ollama/routes.h"
#include "server/openai/error_body.h"
#include "server/openai/routes.h"
#include "server/openapi/document.h"
#include "server/page/routes.h"
#include "server/probes.h"
#include "server/prompt/routes.h"
#include "server/responses/routes.h"
#include "server/websocket/routes.h"

namespace mlxs {
namespace {}  // namespace

std::vector<Route> all_routes(const ApiContext& context) {
  const auto bind = [&context](ApiHandler handler) -> Handler {
    return [&context, handler](Exchange& exchange) {
      return run_on_its_model(context, handler, exchange);
    };
  };
  const auto fixed = [&context](ApiHandler handler) -> Handler {
    return [&context, handler](Exchange& exchange) { return handler(context, exchange); };
  };
  const RoutePolicy probe(RouteAccess::open, RouteWork::light, kOpenaiDialect);
  const RoutePolicy light(RouteAccess::key, RouteWork::light, kOpenaiDialect);
  const RoutePolicy upgrade(RouteAccess::key, RouteWork::upgrade, kOpenaiDialect);
  const RoutePolicy generate(RouteAccess::key, RouteWork::generate, kOpenaiDialect);
  const RoutePolicy anthropic(RouteAccess::key, RouteWork::generate, kAnthropicDialect);
  const RoutePolicy anthropic_light(RouteAccess::key, RouteWork::light, kAnthropicDialect);
  const RoutePolicy ollama(RouteAccess::key, RouteWork::generate, kOllamaDialect);
  const RoutePolicy ollama_light(RouteAccess::key, RouteWork::light, kOllamaDialect);
  const RoutePolicy llama(RouteAccess::key, RouteWork::generate, kLlamaDialect);
  const RoutePolicy llama_light(RouteAccess::key, RouteWork::light, kLlamaDialect);
  return {
      {"GET", "/health", probe, bind(handle_health)},
      {"GET", "/ready", probe, bind(handle_ready)},
      {"GET", "/metrics", light, bind(handle_metrics)},
      {"POST", "/debug/profile", light, bind(handle_profile)},
      {"GET", "/openapi.json", light, bind(handle_openapi)},
      {"GET", "/", probe, bind(handle_page)},
      {"GET", "/ui/app.js", probe, bind(handle_page)},
      {"GET", "/ui/engine.js", probe, bind(handle_page)},
      {"GET", "/ui/markdown.js", probe, bind(handle_page)},
      {"GET", "/ui/style.css", probe, bind(handle_page)},
      {"GET", "/v1/status", light, bind(handle_status)},
      {"GET", "/v1/requests/*", light, bind(handle_request_get)},
      {"GET", "/v1/models", light, bind(handle_model_list)},
      {"POST", "/models/load", light, fixed(handle_model_load)},
      {"POST", "/models/unload", light, fixed(handle_model_unload)},
      {"GET", "/v1/models/*", light, bind(handle_model)},
      {"POST", "/v1/chat/completions", generate, bind(handle_chat)},
      {"POST", "/v1/completions", generate, bind(handle_completion)},
      {"POST", "/v1/embeddings", generate, bind(handle_embeddings)},
      {"POST", "/v1/rerank", generate, bind(handle_rerank)},
      {"POST", "/rerank", generate, bind(handle_rerank)},
      {"POST", "/v1/chat/completions/input_tokens", light, bind(handle_chat_token_count)},
      {"POST", "/v1/responses", generate, bind(handle_response_create)},
      {"POST", "/v1/responses/input_tokens", light, bind(handle_response_token_count)},
      {"GET", "/v1/responses/*/input_items", light, bind(handle_response_input_items)},
      {"POST", "/v1/responses/*/cancel", light, bind(handle_response_cancel)},
      {"GET", "/v1/responses/*", light, bind(handle_response_get)},
      {"DELETE", "/v1/responses/*", light, bind(handle_response_delete)},
      {"GET", "/v1/ws", upgrade, bind(handle_web_socket)},
      {"POST", "/v1/estimate", light, bind(handle_estimate)},
      {"POST", "/v1/schema/check", light, bind(handle_schema_check)},
      {"POST", "/tokenize", light, bind(handle_tokenize)},
      {"POST", "/detokenize", light, bind(handle_detokenize)},
      {"POST", "/apply-template", light, bind(handle_apply_template)},
      {"POST", "/completion", llama, bind(handle_llama_completion)},
      {"POST", "/completions", llama, bind(handle_llama_completion)},
      {"POST", "/embedding", llama, bind(handle_llama_embedding)},
      {"POST", "/embeddings", llama, bind(handle_llama_embedding)},
      {"GET", "/props", llama_light, bind(handle_llama_props)},
      {"GET", "/slots", llama_light, bind(handle_llama_slots)},
      {"POST", "/api/chat", ollama, bind(handle_ollama_chat)},
      {"POST", "/api/generate", ollama, bind(handle_ollama_generate)},
      {"POST", "/api/embed", ollama, bind(handle_ollama_embed)},
      {"POST", "/api/embeddings", ollama, bind(handle_ollama_embeddings)},
      {"GET", "/api/tags", ollama_light, bind(handle_ollama_tags)},
      {"GET", "/api/ps", ollama_light, bind(handle_ollama_running)},
      {"POST", "/api/show", ollama_light, bind(handle_ollama_show)},
      {"GET", "/api/version", ollama_light, bind(handle_ollama_version)},
      {"POST", "/v1/messages", anthropic, bind(handle_messages)},
      {"POST", "/v1/messages/count_tokens", anthropic_light, bind(handle_messages_count)},
  };
}

}  // namespace mlxs
