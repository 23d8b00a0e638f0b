// The ways in which models write tool calls. A format is a row of constants and a parser; each has
// a file of its own.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "text/tool_parser/parse.h"
#include "text/tool_parser/tool_output.h"
#include "text/tool_parser/tool_scanner.h"

namespace mlxs {

// A tool as a request describes it.
struct ToolFunction {
  std::string name = {};
  std::string parameters_json = {};  // a JSON schema; empty: any object
};

// How calls are written, for grammars: prefix, calls with separators between, suffix. A call is a
// structural tag's `tag`, in JSON.
struct ToolSyntax {
  std::string_view prefix;
  std::string_view separator;
  std::string_view suffix;
  std::string (*call_tag)(const ToolFunction& function);
  // What begins calls within text; empty: only an output's beginning does.
  std::string_view trigger;
};

struct ToolFormat {
  std::string_view name;
  Parse<void> (*parse)(ToolScanner& scanner);
  ToolIdStyle id_style;
  // The marks around calls, which may be special tokens of the vocabulary and are then needed in
  // the text.
  std::span<const std::string_view> marks;
  // Those of them that begin calls and mean nothing else: they end a model's reasoning where it
  // forgot to.
  std::span<const std::string_view> opening_marks;
  ToolSyntax syntax;
};

extern const ToolFormat kHermesToolFormat;
extern const ToolFormat kLlama3ToolFormat;
extern const ToolFormat kMistralToolFormat;
extern const ToolFormat kPhiToolFormat;
extern const ToolFormat kGemmaToolFormat;
extern const ToolFormat kDeepseekToolFormat;
extern const ToolFormat kPythonicToolFormat;

// RETURNS: all of them.
[[nodiscard]] std::span<const ToolFormat* const> tool_formats();

// RETURNS: the format of that name, or null.
[[nodiscard]] const ToolFormat* find_tool_format(std::string_view name);

// RETURNS: the format that a chat template asks the model for, or null where none is recognised.
[[nodiscard]] const ToolFormat* detect_tool_format(std::string_view template_source);

}  // namespace mlxs
