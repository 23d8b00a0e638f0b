// The tools and the thinking of Anthropic's API, translated.
#pragma once

#include <string>

#include "mlx_serving/request.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"

namespace mlxs {

// Reads tools, tool_choice, thinking and the form of the output into the request and its prompt.
// ERRORS: Error with the path; unsupported for tools that a server of Anthropic's would run.
void read_anthropic_features(
    FieldReader& fields, const ApiModel& model, Request& request, ChatPrompt& prompt
);

}  // namespace mlxs
