// Puts the two parsers in a row.
#include "text/output_parser.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/output_delta.h"
#include "text/reasoning_parser/reasoning_format.h"
#include "text/reasoning_parser/reasoning_parser.h"
#include "text/tokenizer.h"
#include "text/tool_parser/tool_format.h"
#include "text/tool_parser/tool_parser.h"

namespace mlxs {
namespace {

ReasoningOptions with_other_ends(const OutputParserOptions& options) {
  ReasoningOptions reasoning = options.reasoning;
  if (options.tools.format != nullptr) reasoning.other_ends = options.tools.format->opening_marks;
  return reasoning;
}

// A mark can be a special token itself, or begin, end or hold some.
void add_ids_within(
    const Tokenizer& tokenizer, std::string_view mark, std::vector<std::int32_t>& ids
) {
  for (std::size_t start = 0; start < mark.size(); ++start) {
    for (std::size_t length = 1; length <= mark.size() - start; ++length) {
      const std::optional<std::int32_t> id = tokenizer.token_to_id(mark.substr(start, length));
      const bool is_new =
          id && tokenizer.is_special(*id) && std::ranges::find(ids, *id) == ids.end();
      if (is_new) ids.push_back(*id);
    }
  }
}

}  // namespace

OutputParser::OutputParser(OutputParserOptions options)
    : reasoning_(with_other_ends(options)), tools_(std::move(options.tools)) {}

OutputDelta OutputParser::append(std::string_view token_text) {
  ReasoningDelta part = reasoning_.append(token_text);
  OutputDelta delta;
  if (!part.answer.empty()) delta = tools_.append(part.answer);
  delta.reasoning = std::move(part.reasoning);
  return delta;
}

OutputDelta OutputParser::finish() {
  ReasoningDelta part = reasoning_.finish();
  OutputDelta delta = tools_.append(part.answer);
  delta.append(tools_.finish());
  delta.reasoning = std::move(part.reasoning);
  return delta;
}

std::vector<std::int32_t> special_ids_in_output(
    const Tokenizer& tokenizer, const OutputParserOptions& options
) {
  std::vector<std::int32_t> ids;
  if (const ReasoningFormat* format = options.reasoning.format; format != nullptr) {
    for (const std::string_view mark : {format->begin, format->end, format->answer_mark})
      add_ids_within(tokenizer, mark, ids);
  }
  if (const ToolFormat* format = options.tools.format; format != nullptr) {
    for (const std::string_view mark : format->marks) add_ids_within(tokenizer, mark, ids);
  }
  return ids;
}

}  // namespace mlxs
