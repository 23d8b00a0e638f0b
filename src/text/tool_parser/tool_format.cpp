// Which format a template means: the marks that it writes itself.
#include "text/tool_parser/tool_format.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace mlxs {
namespace {

constexpr std::array<const ToolFormat*, 7> kFormats = {
    &kHermesToolFormat,
    &kLlama3ToolFormat,
    &kMistralToolFormat,
    &kPhiToolFormat,
    &kGemmaToolFormat,
    &kDeepseekToolFormat,
    &kPythonicToolFormat,
};

struct Hint {
  std::string_view text;     // that the template's source holds
  const ToolFormat* format;  // null: a format that is not implemented
};

// The first that fits decides, so that the more special ones come first.
constexpr std::array<Hint, 15> kHints = {{
    {"<function=", nullptr},
    {"<arg_key>", nullptr},
    {"<tool_call>", &kHermesToolFormat},
    {"[TOOL_CALLS]", &kMistralToolFormat},
    {"<\xEF\xBD\x9Ctool\xE2\x96\x81"
     "calls\xE2\x96\x81"
     "begin\xEF\xBD\x9C>",
     &kDeepseekToolFormat},
    {"<|tool_call>", &kGemmaToolFormat},
    {"<start_function_call>", &kGemmaToolFormat},
    {"tool_code", &kGemmaToolFormat},
    {"<|tool_call|>", &kPhiToolFormat},
    {"<|tool|>", &kPhiToolFormat},
    {"functools", &kPhiToolFormat},
    {"<|python_start|>", &kPythonicToolFormat},
    {"[func_name1(", &kPythonicToolFormat},
    {"<|python_tag|>", &kLlama3ToolFormat},
    {"\"parameters\": ", &kLlama3ToolFormat},
}};

}  // namespace

std::span<const ToolFormat* const> tool_formats() { return kFormats; }

const ToolFormat* find_tool_format(std::string_view name) {
  const auto* const format = std::ranges::find(kFormats, name, &ToolFormat::name);
  return format == kFormats.end() ? nullptr : *format;
}

const ToolFormat* detect_tool_format(std::string_view template_source) {
  const auto* const hint = std::ranges::find_if(kHints, [&](const Hint& candidate) {
    return template_source.find(candidate.text) != std::string_view::npos;
  });
  return hint == kHints.end() ? nullptr : hint->format;
}

}  // namespace mlxs
