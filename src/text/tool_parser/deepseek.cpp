// DeepSeek: calls within a pair of marks, each within another; V3 and R1 write function<sep>name
// and the arguments in a fence, V3.1 writes name<sep>arguments. The marks hold U+FF5C and U+2581.
#include <array>
#include <string>
#include <string_view>

#include "text/tool_parser/parse.h"
#include "text/tool_parser/tool_format.h"
#include "text/tool_parser/tool_output.h"
#include "text/tool_parser/tool_scanner.h"
#include "text/tool_parser/tool_tags.h"

// Literals in pieces, for a \x would swallow a letter that could be a digit.
#define MLXS_BAR "\xEF\xBD\x9C"
#define MLXS_LOW "\xE2\x96\x81"

namespace mlxs {
namespace {

constexpr std::string_view kCallsBegin =
    "<" MLXS_BAR "tool" MLXS_LOW "calls" MLXS_LOW "begin" MLXS_BAR ">";
constexpr std::string_view kCallsEnd =
    "<" MLXS_BAR "tool" MLXS_LOW "calls" MLXS_LOW "end" MLXS_BAR ">";
constexpr std::string_view kCallBegin =
    "<" MLXS_BAR "tool" MLXS_LOW "call" MLXS_LOW "begin" MLXS_BAR ">";
constexpr std::string_view kCallEnd =
    "<" MLXS_BAR "tool" MLXS_LOW "call" MLXS_LOW "end" MLXS_BAR ">";
constexpr std::string_view kSeparator = "<" MLXS_BAR "tool" MLXS_LOW "sep" MLXS_BAR ">";

#undef MLXS_BAR
#undef MLXS_LOW

constexpr std::array<std::string_view, 5> kMarks = {
    kCallsBegin, kCallsEnd, kCallBegin, kCallEnd, kSeparator
};
constexpr std::array<std::string_view, 2> kOpening = {kCallsBegin, kCallBegin};

// After the mark that begins one call.
Parse<bool> parse_call(ToolScanner& scanner) {
  std::string name = co_await scanner.word();
  const bool has_separator = co_await scanner.literal(kSeparator);
  if (!has_separator) co_return false;
  const bool is_fenced = name == "function";
  if (is_fenced) {
    name = co_await scanner.word();
    const bool has_fence = co_await scanner.literal("\n```json\n");
    if (!has_fence) co_return false;
  }
  co_await scanner.blanks();
  if (!scanner.is_known(name)) co_return false;
  const bool is_sound = co_await scanner.json_arguments(name);
  if (!is_sound) co_return false;
  co_await scanner.blanks();
  if (is_fenced) {
    const bool is_closed = co_await scanner.literal("```");
    if (!is_closed) co_return false;
  }
  co_return co_await scanner.literal(kCallEnd);
}

// After any of the marks. The mark around all calls says nothing that those around each do not, so
// that a lost one does no harm; one that ends what never began is text.
Parse<bool> parse_marked(ToolScanner& scanner, std::string_view mark) {
  if (mark == kCallsEnd) co_return scanner.output().num_calls() > 0;
  if (mark == kCallsBegin) {
    co_await scanner.blanks();
    const bool has_call = co_await scanner.literal(kCallBegin);
    if (!has_call) co_return false;
  }
  co_return co_await parse_call(scanner);
}

Parse<void> parse_deepseek(ToolScanner& scanner) {
  constexpr std::array<std::string_view, 3> kStops = {kCallsBegin, kCallsEnd, kCallBegin};
  while (true) {
    const auto mark = co_await scanner.text_up_to(kStops);
    if (!mark) break;
    const bool is_sound = co_await parse_marked(scanner, kStops[*mark]);
    if (is_sound) {
      scanner.commit();
    } else {
      scanner.give_up();
    }
  }
}

std::string call_tag(const ToolFunction& function) {
  return json_call_tag(
      function,
      {.begin = std::string(kCallBegin) + "function" + std::string(kSeparator) + function.name +
                "\n```json\n",
       .end = "\n```" + std::string(kCallEnd)}
  );
}

}  // namespace

constexpr ToolFormat kDeepseekToolFormat = {
    .name = "deepseek",
    .parse = parse_deepseek,
    .id_style = ToolIdStyle::openai,
    .marks = kMarks,
    .opening_marks = kOpening,
    .syntax =
        {.prefix = kCallsBegin,
         .separator = "\n",
         .suffix = kCallsEnd,
         .call_tag = call_tag,
         .trigger = kCallsBegin},
};

}  // namespace mlxs
