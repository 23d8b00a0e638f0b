// Calls written as JSON.
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "text/tool_parser/json_scanner.h"
#include "text/tool_parser/parse.h"
#include "text/tool_parser/tool_scanner.h"

namespace mlxs {

// What is known of a call whose members may come in any order.
struct JsonCallState {
  std::string name = {};
  std::string early_arguments = {};  // that came before the name
  bool has_arguments = false;
};

namespace {

// RETURNS: the text of a JSON string; nothing when it is not sound.
std::optional<std::string> decode_json_string(std::string_view quoted) {
  try {
    const json::value value = parse_json(quoted);
    return std::string(std::string_view(value.as_string()));
  } catch (const Error&) {
    // Half of a surrogate pair, for one: no name has it.
    return std::nullopt;
  }
}

}  // namespace

Parse<bool> ToolScanner::json_value(std::string* copy) {
  JsonScanner scanner;
  while (true) {
    const std::optional<char> character = co_await stream_.peek();
    if (!character) co_return false;
    const JsonScanner::Step step = scanner.push(*character);
    if (step == JsonScanner::Step::failed) co_return false;
    if (step == JsonScanner::Step::done_before) co_return true;
    take(*character);
    if (copy != nullptr) {
      *copy += scanner.escaped();
    } else {
      arguments(scanner.escaped());
    }
    if (step == JsonScanner::Step::done) co_return true;
  }
}

Parse<std::optional<std::string>> ToolScanner::json_string() {
  std::string quoted;
  const std::optional<char> first = co_await stream_.peek();
  if (first != '"') co_return std::nullopt;
  const bool is_sound = co_await json_value(&quoted);
  if (!is_sound) co_return std::nullopt;
  co_return decode_json_string(quoted);
}

Parse<bool> ToolScanner::json_arguments(std::string_view name) {
  const std::optional<char> first = co_await stream_.peek();
  if (first != '{') co_return false;
  begin_call(name);
  co_return co_await json_value(nullptr);
}

Parse<bool> ToolScanner::json_member(JsonCallState& state) {
  const std::optional<std::string> key = co_await json_string();
  if (!key) co_return false;
  co_await blanks();
  const bool has_colon = co_await literal(":");
  if (!has_colon) co_return false;
  co_await blanks();
  const bool is_arguments = *key == "arguments" || *key == "parameters";
  if (*key == "name" && state.name.empty()) {
    const std::optional<std::string> name = co_await json_string();
    if (!name || !is_known(*name)) co_return false;
    state.name = *name;
    if (!state.has_arguments) co_return true;
    begin_call(state.name);
    arguments(state.early_arguments);
    co_return true;
  }
  const std::optional<char> first = co_await stream_.peek();
  if (is_arguments && !state.has_arguments && first == '{') {
    state.has_arguments = true;
    if (state.name.empty()) co_return co_await json_value(&state.early_arguments);
    co_return co_await json_arguments(state.name);
  }
  // Arguments that are no object can be none at all.
  if (is_arguments && first != 'n') co_return false;
  std::string ignored;
  co_return co_await json_value(&ignored);
}

Parse<bool> ToolScanner::json_call() {
  JsonCallState state;
  const bool is_object = co_await literal("{");
  if (!is_object) co_return false;
  std::optional<char> next = ',';
  while (next == ',') {
    co_await blanks();
    const bool is_sound = co_await json_member(state);
    if (!is_sound) co_return false;
    co_await blanks();
    next = co_await stream_.peek();
    if (next == ',' || next == '}') take(*next);
  }
  if (next != '}' || state.name.empty()) co_return false;
  if (!state.has_arguments) {
    begin_call(state.name);
    arguments("{}");
  }
  commit();
  co_return true;
}

Parse<bool> ToolScanner::json_calls() {
  const bool is_list = co_await literal("[");
  if (!is_list) co_return false;
  std::optional<char> next = ',';
  while (next == ',') {
    co_await blanks();
    const bool is_sound = co_await json_call();
    if (!is_sound) co_return false;
    co_await blanks();
    next = co_await stream_.peek();
    if (next == ',' || next == ']') take(*next);
  }
  if (next != ']') co_return false;
  commit();
  co_return true;
}

}  // namespace mlxs
