// A route whose path is more particular stands before a wider one.
#include "server/route_table.h"

#include <vector>

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/router.h"
#include "server/http/task.h"
#include "server/openai/error_body.h"
#include "server/openai/routes.h"
#include "server/probes.h"
#include "server/prompt/routes.h"

namespace mlxs {
namespace {

using ApiHandler = Task<void> (*)(const ApiContext&, Exchange&);

}  // namespace

std::vector<Route> all_routes(const ApiContext& context) {
  const auto bind = [&context](ApiHandler handler) -> Handler {
    return [&context, handler](Exchange& exchange) { return handler(context, exchange); };
  };
  const RoutePolicy probe(RouteAccess::open, RouteWork::light, kOpenaiDialect);
  const RoutePolicy light(RouteAccess::key, RouteWork::light, kOpenaiDialect);
  const RoutePolicy generate(RouteAccess::key, RouteWork::generate, kOpenaiDialect);
  return {
      {"GET", "/health", probe, bind(handle_health)},
      {"GET", "/ready", probe, bind(handle_ready)},
      {"GET", "/v1/models", light, bind(handle_model_list)},
      {"GET", "/v1/models/*", light, bind(handle_model)},
      {"POST", "/v1/chat/completions", generate, bind(handle_chat)},
      {"POST", "/v1/completions", generate, bind(handle_completion)},
      {"POST", "/v1/chat/completions/input_tokens", light, bind(handle_chat_token_count)},
      {"POST", "/v1/estimate", light, bind(handle_estimate)},
      {"POST", "/tokenize", light, bind(handle_tokenize)},
      {"POST", "/detokenize", light, bind(handle_detokenize)},
      {"POST", "/apply-template", light, bind(handle_apply_template)},
  };
}

}  // namespace mlxs
