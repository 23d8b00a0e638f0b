// Works on parsed JSON; a conversation without parts is given back unread and unchanged.
#include "text/chat_content.h"

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/json.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

std::string join_parts(const json::array& parts, const std::string& path) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const json::object* part = parts[i].if_object();
    const json::value* type = part ? part->if_contains("type") : nullptr;
    const json::value* content = part ? part->if_contains("text") : nullptr;
    const bool is_text = type && type->is_string() && type->get_string() == "text" && content &&
                         content->is_string();
    if (!is_text) {
      throw Error(
          ErrorCode::unsupported,
          "this model takes text only; send parts of type 'text' with a string in 'text'",
          fmt::format("{}[{}]", path, i)
      );
    }
    if (i > 0) text += '\n';
    text += std::string_view(content->get_string());
  }
  return text;
}

}  // namespace

std::string flatten_text_parts(std::string_view messages_json) {
  json::value messages = parse_json(messages_json);
  if (!messages.is_array())
    throw Error(ErrorCode::invalid_request, "messages is not an array", "messages");
  bool is_changed = false;
  for (std::size_t i = 0; i < messages.get_array().size(); ++i) {
    json::object* message = messages.get_array()[i].if_object();
    if (!message)
      throw Error(
          ErrorCode::invalid_request, "a message is not an object", fmt::format("messages[{}]", i)
      );
    json::value* content = message->if_contains("content");
    if (!content || !content->is_array()) continue;
    *content = join_parts(content->get_array(), fmt::format("messages[{}].content", i));
    is_changed = true;
  }
  return is_changed ? json::serialize(messages) : std::string(messages_json);
}

}  // namespace mlxs
