// Blocks of text are joined without anything between them, as the API documents it for a turn. The
// calls and answers of tools become messages of OpenAI's form, which templates are written for.
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
  std::string role = {};
  std::string path = {};  // of the last message in it
  std::string text = {};
  std::string reasoning = {};
  json::array tool_calls = {};  // of the assistant, as templates want them
  json::array answers = {};     // of tools: messages before the user's text
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

std::string read_text(FieldReader& block, const std::string& path) {
  const auto text = block.string("text");
  if (!text) missing(path + ".text");
  block.accept({"citations"});  // of an earlier answer; no template reads them
  return std::string(*text);
}

std::string read_type(FieldReader& block, const std::string& path) {
  const auto type = block.string("type");
  if (!type) missing(path + ".type");
  return std::string(*type);
}

[[noreturn]] void unsupported_block(const std::string& type, const std::string& path) {
  const std::string type_path = path + ".type";
  throw Error(
      ErrorCode::unsupported,
      fmt::format(
          "{} {}: this server takes text, thinking, tool_use and tool_result here",
          type_path,
          json_quote(std::string_view(type).substr(0, 40))
      ),
      type_path
  );
}

// A content that is text only: a system prompt's, or a tool's answer.
std::string read_content(const json::value& content, const std::string& path) {
  if (content.is_string()) return std::string(to_view(content.get_string()));
  if (!content.is_array()) throw_wrong_type(path, "a string or an array of blocks", content);
  std::string text;
  const json::array& blocks = content.get_array();
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::string block_path = element_path(path, i);
    FieldReader block(blocks[i], block_path);
    const std::string type = read_type(block, block_path);
    if (type != "text") unsupported_block(type, block_path);
    text += read_text(block, block_path);
    check_cache_control(block);
    block.finish();
  }
  return text;
}

json::object read_tool_use(FieldReader& block, const std::string& path) {
  const auto id = block.string("id");
  const auto name = block.string("name");
  if (!name) missing(path + ".name");
  const json::object* input = block.object("input");
  block.accept({"caller"});
  json::object function;
  function["name"] = to_json_view(*name);
  function["arguments"] = input != nullptr ? *input : json::object();
  json::object call;
  call["id"] = to_json_view(id.value_or(""));
  call["type"] = "function";
  call["function"] = std::move(function);
  return call;
}

json::object read_tool_result(FieldReader& block, const std::string& path) {
  const auto id = block.string("tool_use_id");
  if (!id) missing(path + ".tool_use_id");
  const json::value* content = block.any("content");
  const bool is_error = block.boolean("is_error").value_or(false);
  std::string text = content != nullptr ? read_content(*content, path + ".content") : "";
  if (is_error) text = "Error: " + text;
  json::object answer;
  answer["role"] = "tool";
  answer["tool_call_id"] = to_json_view(*id);
  answer["content"] = text;
  return answer;
}

void read_block(const json::value& value, const std::string& path, Turn& turn) {
  FieldReader block(value, path);
  const std::string type = read_type(block, path);
  const bool is_assistant = turn.role == "assistant";
  if (type == "text") {
    turn.text += read_text(block, path);
  } else if (type == "thinking" && is_assistant) {
    turn.reasoning += block.string("thinking").value_or("");
    static_cast<void>(block.string("signature"));
  } else if (type == "tool_use" && is_assistant) {
    turn.tool_calls.push_back(read_tool_use(block, path));
  } else if (type == "tool_result" && !is_assistant) {
    turn.answers.push_back(read_tool_result(block, path));
  } else {
    unsupported_block(type, path);
  }
  check_cache_control(block);
  block.finish();
}

Turn read_message(const json::value& value, const std::string& path) {
  FieldReader message(value, path);
  const auto role = message.word("role", {"user", "assistant"});
  if (!role) missing(path + ".role");
  const json::value* content = message.any("content");
  if (content == nullptr) missing(path + ".content");
  message.finish();
  Turn turn{.role = std::string(*role), .path = path};
  const std::string content_path = path + ".content";
  if (content->is_string()) {
    turn.text = std::string(to_view(content->get_string()));
  } else if (const json::array* blocks = content->if_array()) {
    for (std::size_t i = 0; i < blocks->size(); ++i)
      read_block((*blocks)[i], element_path(content_path, i), turn);
  } else {
    throw_wrong_type(content_path, "a string or an array of blocks", *content);
  }
  return turn;
}

void join(Turn& turn, Turn later) {
  if (!turn.text.empty() && !later.text.empty()) turn.text += "\n\n";
  turn.text += later.text;
  turn.reasoning += later.reasoning;
  for (json::value& call : later.tool_calls) turn.tool_calls.push_back(std::move(call));
  for (json::value& answer : later.answers) turn.answers.push_back(std::move(answer));
  turn.path = std::move(later.path);
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
    join(turns.back(), std::move(turn));
  }
  return turns;
}

// RETURNS: the beginning of the answer, which is no turn of its own.
std::string take_prefill(std::vector<Turn>& turns) {
  if (turns.back().role != "assistant" || !turns.back().tool_calls.empty()) return {};
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

void add_messages(Turn turn, json::array& messages) {
  for (json::value& answer : turn.answers) messages.push_back(std::move(answer));
  const bool is_only_answers = !turn.answers.empty() && turn.text.empty();
  if (is_only_answers) return;
  json::object message = message_object(turn.role, turn.text);
  if (!turn.reasoning.empty()) message["reasoning_content"] = turn.reasoning;
  if (!turn.tool_calls.empty()) message["tool_calls"] = std::move(turn.tool_calls);
  messages.push_back(std::move(message));
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
  for (Turn& turn : turns) add_messages(std::move(turn), messages);
  chat.messages_json = json::serialize(messages);
  return chat;
}

}  // namespace mlxs
