// Blocks of text are joined without anything between them, as the API documents it for a turn.
#include "server/anthropic/messages.h"

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

struct Turn {
  std::string role;
  std::string text;
  std::string path;  // of the last message in it
};

[[noreturn]] void missing(const std::string& path) {
  throw Error(ErrorCode::invalid_request, fmt::format("{} is missing", path), path);
}

// Where a client would have a prompt cached. Prefixes are cached here without being asked.
void check_cache_control(FieldReader& block) {
  const json::value* value = block.any("cache_control");
  if (value == nullptr) return;
  FieldReader control(*value, block.path_of("cache_control"));
  static_cast<void>(control.word("type", {"ephemeral"}));
  static_cast<void>(control.word("ttl", {"5m", "1h"}));
  control.finish();
}

std::string read_block(const json::value& value, const std::string& path) {
  FieldReader block(value, path);
  const auto type = block.string("type");
  if (!type) missing(path + ".type");
  if (*type != "text") {
    const std::string type_path = path + ".type";
    throw Error(
        ErrorCode::unsupported,
        fmt::format(
            "{} {}: only text blocks are supported by this server",
            type_path,
            json_quote(type->substr(0, 40))
        ),
        type_path
    );
  }
  const auto text = block.string("text");
  if (!text) missing(path + ".text");
  check_cache_control(block);
  block.accept({"citations"});  // of an earlier answer; no template reads them
  block.finish();
  return std::string(*text);
}

std::string read_content(const json::value& content, const std::string& path) {
  if (content.is_string()) return std::string(to_view(content.get_string()));
  if (!content.is_array()) throw_wrong_type(path, "a string or an array of blocks", content);
  std::string text;
  const json::array& blocks = content.get_array();
  for (std::size_t i = 0; i < blocks.size(); ++i)
    text += read_block(blocks[i], element_path(path, i));
  return text;
}

Turn read_message(const json::value& value, const std::string& path) {
  FieldReader message(value, path);
  const auto role = message.word("role", {"user", "assistant"});
  if (!role) missing(path + ".role");
  const json::value* content = message.any("content");
  if (content == nullptr) missing(path + ".content");
  message.finish();
  return {std::string(*role), read_content(*content, path + ".content"), path};
}

std::vector<Turn> read_turns(FieldReader& fields) {
  const json::array* messages = fields.array("messages");
  const std::string path = fields.path_of("messages");
  if (messages == nullptr) missing(path);
  if (messages->empty()) {
    throw Error(
        ErrorCode::invalid_value, fmt::format("{} must have at least one message", path), path
    );
  }
  std::vector<Turn> turns;
  for (std::size_t i = 0; i < messages->size(); ++i) {
    Turn turn = read_message((*messages)[i], element_path(path, i));
    if (turns.empty() || turns.back().role != turn.role) {
      turns.push_back(std::move(turn));
      continue;
    }
    turns.back().text += "\n\n" + turn.text;
    turns.back().path = std::move(turn.path);
  }
  return turns;
}

// RETURNS: the beginning of the answer, which is no turn of its own.
std::string take_prefill(std::vector<Turn>& turns) {
  if (turns.back().role != "assistant") return {};
  const Turn turn = std::move(turns.back());
  turns.pop_back();
  const std::string path = turn.path + ".content";
  if (turns.empty())
    throw Error(
        ErrorCode::invalid_value,
        "messages must have a message of the user before the assistant's last",
        path
    );
  if (turn.text.empty() ||
      std::string_view(" \t\r\n").find(turn.text.back()) != std::string_view::npos) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("{} begins the answer, so it must not be empty or end with white space", path),
        path
    );
  }
  return turn.text;
}

json::object message_object(std::string_view role, const std::string& text) {
  json::object message;
  message["role"] = to_json_view(role);
  message["content"] = text;
  return message;
}

}  // namespace

AnthropicChat read_anthropic_chat(FieldReader& fields) {
  AnthropicChat chat;
  json::array messages;
  if (const json::value* system = fields.any("system")) {
    const std::string text = read_content(*system, fields.path_of("system"));
    if (!text.empty()) messages.push_back(message_object("system", text));
  }
  std::vector<Turn> turns = read_turns(fields);
  chat.prefill = take_prefill(turns);
  for (const Turn& turn : turns) messages.push_back(message_object(turn.role, turn.text));
  chat.messages_json = json::serialize(messages);
  return chat;
}

}  // namespace mlxs
