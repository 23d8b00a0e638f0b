// Ollama's clients know nothing but a text.
#include "server/ollama/error_body.h"

#include <string>
#include <string_view>

#include "base/json.h"
#include "server/http/message.h"
#include "server/openai/error_body.h"

namespace mlxs {

std::string render_ollama_fault(const HttpFault& fault, std::string_view) {
  json::object body;
  body["error"] = valid_utf8(fault.message);
  return json::serialize(body);
}

}  // namespace mlxs
