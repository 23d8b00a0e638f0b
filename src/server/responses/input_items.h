// The `input` of a response: a text, or items. They become messages for the template and, in the
// API's own form, what is stored.
#pragma once

#include "base/json.h"
#include "server/http/service.h"
#include "server/openai/field_reader.h"

namespace mlxs {

struct ResponseInput {
  json::array items;     // as GET .../input_items shows them
  json::array messages;  // chat's, with texts only
};

// Calls of tools join the assistant's message before them. ERRORS: Error with the path; unsupported
// for items other than messages of text, reasoning, and calls and answers of functions.
[[nodiscard]] ResponseInput read_response_input(FieldReader& fields, IdSource& ids);

}  // namespace mlxs
