// Reads the prompts of bodies that are not run, by the same rules as those that are.
#pragma once

#include <string>

#include "base/json.h"
#include "mlx_serving/request.h"
#include "server/http/message.h"
#include "server/openai/api_model.h"
#include "server/openai/call.h"

namespace mlxs {

// RETURNS: `body`, which may lack the name of the model, as a chat or completion call.
// ERRORS: as parse_chat_call and parse_completion_call.
[[nodiscard]] Call parse_chat_object(json::object body, const ApiModel& model);
[[nodiscard]] Call parse_completion_object(json::object body, const ApiModel& model);

// RETURNS: the body's object. ERRORS: invalid_request for anything else.
[[nodiscard]] json::object parse_object(std::string_view body);

[[nodiscard]] HttpResponse json_response(const json::value& body);

}  // namespace mlxs
