// Stop strings of a request, for doors that name the field in their own way.
#pragma once

#include <string_view>

#include "mlx_serving/sampling.h"
#include "server/openai/field_reader.h"

namespace mlxs {

// Reads the field `name`, a string or an array of strings, into `stop`.
// ERRORS: Error with the path: a wrong type, an empty or too long string, too many of them.
void read_stop_strings(FieldReader& fields, std::string_view name, StopParams& stop);

}  // namespace mlxs
