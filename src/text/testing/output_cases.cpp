// The file's form is described in tools/golden/text_outputs.py.
#include "text/testing/output_cases.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/output_delta.h"
#include "text/output_parser.h"
#include "text/reasoning_parser/reasoning_format.h"
#include "text/reasoning_parser/reasoning_parser.h"
#include "text/testing/golden_files.h"
#include "text/tool_parser/tool_format.h"

namespace mlxs::testing {

std::vector<OutputCase> read_output_cases() {
  const json::value content = read_golden_json("outputs.json");
  std::vector<OutputCase> cases;
  for (const json::value& item : content.at("cases").as_array()) {
    OutputCase test_case{.name = to_text(item.at("name")), .output = to_text(item.at("output"))};
    if (item.at("tools").is_string())
      test_case.options.tools.format = find_tool_format(to_text(item.at("tools")));
    for (const json::value& name : item.at("names").as_array())
      test_case.options.tools.names.push_back(to_text(name));
    ReasoningOptions& reasoning = test_case.options.reasoning;
    if (item.at("reasoning").is_string())
      reasoning.format = find_reasoning_format(to_text(item.at("reasoning")));
    reasoning.start =
        item.at("start") == "inside" ? ReasoningStart::inside : ReasoningStart::by_mark;
    const json::value& expected = item.at("expected");
    test_case.expected.reasoning = to_text(expected.at("reasoning"));
    test_case.expected.text = to_text(expected.at("text"));
    for (const json::value& call : expected.at("calls").as_array()) {
      const int index = static_cast<int>(test_case.expected.tool_calls.size());
      test_case.expected.tool_calls.push_back(
          {.index = index,
           .name = to_text(call.at("name")),
           .arguments = to_text(call.at("arguments"))}
      );
    }
    cases.push_back(std::move(test_case));
  }
  return cases;
}

OutputDelta parse_pieces(
    const OutputParserOptions& options, const std::vector<std::string_view>& pieces
) {
  OutputParser parser(options);
  OutputDelta all;
  for (const std::string_view piece : pieces) all.append(parser.append(piece));
  all.append(parser.finish());
  return all;
}

std::vector<std::size_t> character_borders(std::string_view text) {
  std::vector<std::size_t> borders;
  for (std::size_t i = 1; i < text.size(); ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) borders.push_back(i);
  return borders;
}

}  // namespace mlxs::testing
