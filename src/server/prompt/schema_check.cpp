// POST /v1/schema/check: what a schema is worth as a constraint, before anything is generated with
// it.
#include <string>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "server/api_context.h"
#include "server/door/constraint_fields.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/task.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"
#include "server/prompt/routes.h"

namespace mlxs {
namespace {

std::string read_schema(const std::string& body, const ApiModel& model) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  if (const auto name = fields.string("model")) check_model_name(model, *name);
  const json::value* schema = fields.any("schema");
  if (schema == nullptr)
    throw Error(ErrorCode::invalid_request, "you must provide a schema parameter", "schema");
  fields.finish();
  return schema_constraint(*schema, "schema").text;
}

}  // namespace

Task<void> handle_schema_check(const ApiContext& context, Exchange& exchange) {
  const std::string schema = read_schema(exchange.request().body, context.model);
  HttpResponse response;
  response.body = co_await context.offload.run([&] { return context.engine.check_schema(schema); });
  co_await exchange.respond(std::move(response));
}

}  // namespace mlxs
