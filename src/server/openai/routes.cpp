// The table.
#include "server/openai/routes.h"

#include <vector>

#include "server/http/exchange.h"
#include "server/http/router.h"
#include "server/http/task.h"
#include "server/openai/answer.h"

namespace mlxs {
namespace {

using ApiHandler = Task<void> (*)(const ApiContext&, Exchange&);

Handler bind(const ApiContext& context, ApiHandler handler) {
  return [&context, handler](Exchange& exchange) { return handler(context, exchange); };
}

}  // namespace

std::vector<Route> openai_routes(const ApiContext& context) {
  return {
      {"POST", "/v1/chat/completions", RouteAccess::key, bind(context, handle_chat)},
      {"POST", "/v1/completions", RouteAccess::key, bind(context, handle_completion)},
      {"GET", "/v1/models", RouteAccess::key, bind(context, handle_model_list)},
      {"GET", "/v1/models/*", RouteAccess::key, bind(context, handle_model)},
  };
}

}  // namespace mlxs
