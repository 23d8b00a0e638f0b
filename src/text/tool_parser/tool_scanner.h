// What the parsers of the formats share: the stream, the output, and parsers of the pieces that
// calls are made of.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tool_parser/parse.h"
#include "text/tool_parser/tool_output.h"

namespace mlxs {

struct JsonCallState;

// Characters that were taken and may yet turn out to be no call are kept, so that give_up() can
// hand them on as text. A parser that fails stops before the character that cannot be. Thread
// safety: none. It stays where it is, for its coroutines point at it.
class ToolScanner {
 public:
  // `names` are the tools that may be called; empty: any.
  ToolScanner(std::vector<std::string> names, ToolOutput output)
      : names_(std::move(names)), output_(std::move(output)) {}
  ToolScanner(const ToolScanner&) = delete;
  ToolScanner& operator=(const ToolScanner&) = delete;

  [[nodiscard]] CharStream& stream() { return stream_; }
  [[nodiscard]] ToolOutput& output() { return output_; }
  [[nodiscard]] bool is_known(std::string_view name) const;

  // Hands on text up to one of `marks`, which is taken. RETURNS: its index; nothing at the end of
  // the output. REQUIRES: no mark begins another.
  [[nodiscard]] Parse<std::optional<std::size_t>> text_up_to(std::span<const std::string_view> marks
  );
  // Hands on all that is left.
  Parse<void> rest_as_text();

  Parse<void> blanks();
  [[nodiscard]] Parse<bool> literal(std::string_view text);
  // RETURNS: letters, digits and the like up to something else.
  [[nodiscard]] Parse<std::string> word();

  // An object whose members "name" and "arguments" (or "parameters") make a call.
  [[nodiscard]] Parse<bool> json_call();
  // Such objects in [ ], with commas between.
  [[nodiscard]] Parse<bool> json_calls();
  // An object that is the arguments of a call of `name`.
  [[nodiscard]] Parse<bool> json_arguments(std::string_view name);
  // `name(key=value, ...)` with values as Python or JSON writes them.
  [[nodiscard]] Parse<bool> python_call();
  // Such calls in [ ], with commas between.
  [[nodiscard]] Parse<bool> python_calls();
  // The rest of a Python call, after its opening parenthesis.
  [[nodiscard]] Parse<bool> python_arguments(std::string_view name);

  // One JSON value. Its text goes to `copy`, or with null to the call that has begun.
  [[nodiscard]] Parse<bool> json_value(std::string* copy);
  // One number, truth value or nothing, as Python or JSON writes it, for the call that has begun.
  [[nodiscard]] Parse<bool> python_scalar();

  // What was taken since the last commit() was no call: it is text.
  void give_up();
  // What was taken is a call's, or a mark.
  void commit() { taken_.clear(); }
  // Takes the next character. REQUIRES: peek() gave it.
  void take(char character) {
    stream_.take();
    taken_ += character;
  }
  void begin_call(std::string_view name);
  void arguments(std::string_view json);

 private:
  [[nodiscard]] Parse<bool> json_member(JsonCallState& state);
  [[nodiscard]] Parse<std::optional<std::string>> json_string();
  [[nodiscard]] Parse<bool> python_value(int depth);
  [[nodiscard]] Parse<bool> python_string(char quote);
  [[nodiscard]] Parse<bool> python_escape();
  [[nodiscard]] Parse<bool> python_items(char open, int depth);
  [[nodiscard]] Parse<bool> python_key();

  std::vector<std::string> names_;
  ToolOutput output_;
  CharStream stream_;
  std::string taken_;
};

}  // namespace mlxs
