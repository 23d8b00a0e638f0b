// The fields by which clients ask for a form of the output: OpenAI's, vLLM's and llama-server's
// names for the same few constraints.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "mlx_serving/output.h"
#include "server/openai/field_reader.h"

namespace mlxs {

// RETURNS: the constraint of a JSON schema, given as an object or as JSON in a string.
// ERRORS: as FieldReader.
[[nodiscard]] Constraint schema_constraint(const json::value& schema, const std::string& path);

// `response_format`, or the `text.format` of a response, whose schema stands in the format itself.
// RETURNS: nothing for the type text. ERRORS: Error with the path.
[[nodiscard]] std::optional<Constraint> read_format(
    const json::value& value, const std::string& path
);

// response_format, structured_outputs, and vLLM's older guided_*. RETURNS: the one that is there.
// ERRORS: Error with the path; invalid_value where there are several.
[[nodiscard]] std::optional<Constraint> read_constraint(FieldReader& fields);

}  // namespace mlxs
