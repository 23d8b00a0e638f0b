// One shape for all formats: prefix, calls with separators, suffix.
#include "text/tool_parser/tool_grammar.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "text/grammar.h"
#include "text/tool_parser/tool_format.h"

namespace mlxs {
namespace {

std::string calls_of(
    const ToolSyntax& syntax, std::span<const ToolFunction> functions, ParallelCalls parallel
) {
  std::string tags;
  for (const ToolFunction& function : functions) {
    if (!tags.empty()) tags += ',';
    tags += syntax.call_tag(function);
  }
  const std::string_view stops = parallel == ParallelCalls::no ? "true" : "false";
  return R"({"type":"tags_with_separator","at_least_one":true,"stop_after_first":)" +
         std::string(stops) + R"(,"separator":)" + json_quote(syntax.separator) + R"(,"tags":[)" +
         tags + "]}";
}

std::string tag_of(const ToolSyntax& syntax, const std::string& calls) {
  return R"({"type":"tag","begin":)" + json_quote(syntax.prefix) + R"(,"content":)" + calls +
         R"(,"end":)" + json_quote(syntax.suffix) + '}';
}

std::string triggered(std::string_view trigger, const std::string& tags, ParallelCalls parallel) {
  const std::string_view stops = parallel == ParallelCalls::no ? "true" : "false";
  return R"({"type":"triggered_tags","triggers":[)" + json_quote(trigger) +
         R"(],"stop_after_first":)" + std::string(stops) + R"(,"tags":[)" + tags + "]}";
}

}  // namespace

std::optional<GrammarSpec> make_tool_grammar(
    const ToolFormat& format, std::span<const ToolFunction> functions, const ToolDemand& demand
) {
  const ToolSyntax& syntax = format.syntax;
  std::string tree;
  if (demand.need == ToolNeed::required) {
    tree = tag_of(syntax, calls_of(syntax, functions, demand.parallel));
  } else if (syntax.trigger.empty()) {
    return std::nullopt;
  } else if (syntax.prefix.empty()) {
    std::string tags;
    for (const ToolFunction& function : functions) {
      if (!tags.empty()) tags += ',';
      tags += syntax.call_tag(function);
    }
    tree = triggered(syntax.trigger, tags, demand.parallel);
  } else {
    const std::string tag = tag_of(syntax, calls_of(syntax, functions, demand.parallel));
    tree = triggered(syntax.trigger, tag, demand.parallel);
  }
  return GrammarSpec{.kind = GrammarKind::structural_tag, .text = R"({"format":)" + tree + '}'};
}

}  // namespace mlxs
