// The `options` of Ollama's requests.
#pragma once

#include "mlx_serving/request.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"

namespace mlxs {

// Options of the machine (threads, layers on a GPU) are Ollama's hints to its runner and change
// nothing here; options of sampling that the engine does not have are refused by name.
// ERRORS: Error with the path.
void read_ollama_options(FieldReader& fields, const ApiModel& model, Request& request);

}  // namespace mlxs
