// The body of POST /v1/responses, translated.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "server/door/answer_one.h"
#include "server/http/service.h"
#include "server/openai/api_model.h"
#include "server/responses/input_items.h"

namespace mlxs {

struct ResponsesCall {
  DoorCall door;  // without its prompt, which also needs what went before
  ResponseInput input;
  std::string instructions;          // empty: none
  std::string tools_json;            // for ChatPrompt; empty: none
  std::string previous_response_id;  // empty: none
  json::object echo;                 // fields of the request that the response repeats
  bool is_stored = true;
  bool is_background = false;
};

// ERRORS: Error with the path of the field; nothing else, whatever `body` holds.
[[nodiscard]] ResponsesCall parse_responses_call(
    std::string_view body, const ApiModel& model, IdSource& ids
);

// The body of POST /v1/responses/input_tokens: the same without what only an answer has.
[[nodiscard]] ResponsesCall parse_input_tokens_call(
    std::string_view body, const ApiModel& model, IdSource& ids
);

}  // namespace mlxs
