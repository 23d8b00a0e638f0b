// Any bytes as a model's output, in every format: cut into pieces or whole it gives the same,
// arguments are JSON as far as they go, and where there is no call nothing is lost.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "text/output_delta.h"
#include "text/output_parser.h"
#include "text/reasoning_parser/reasoning_format.h"
#include "text/reasoning_parser/reasoning_parser.h"
#include "text/tool_parser/json_scanner.h"
#include "text/tool_parser/tool_format.h"

namespace {

constexpr std::size_t kHeaderBytes = 4;

std::string without_blanks(std::string_view text) {
  std::string rest;
  for (const char character : text)
    if (std::string_view(" \n\r\t").find(character) == std::string_view::npos) rest += character;
  return rest;
}

void check_arguments(const mlxs::ToolCallDelta& call) {
  mlxs::JsonScanner scanner;
  for (const char character : call.arguments)
    if (scanner.push(character) == mlxs::JsonScanner::Step::failed) std::abort();
}

mlxs::OutputDelta parse(
    const mlxs::OutputParserOptions& options, std::string_view output, std::size_t piece_bytes
) {
  mlxs::OutputParser parser(options);
  mlxs::OutputDelta all;
  for (std::size_t start = 0; start < output.size(); start += piece_bytes)
    all.append(parser.append(output.substr(start, piece_bytes)));
  all.append(parser.finish());
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t num_bytes) {
  if (num_bytes < kHeaderBytes) return 0;
  mlxs::OutputParserOptions options;
  const auto formats = mlxs::tool_formats();
  const std::size_t tool = bytes[0] % (formats.size() + 1);
  if (tool < formats.size()) options.tools.format = formats[tool];
  const auto reasoning = mlxs::reasoning_formats();
  const std::size_t style = bytes[1] % (reasoning.size() + 1);
  if (style < reasoning.size()) options.reasoning.format = &reasoning[style];
  if ((bytes[2] & 1U) != 0) options.reasoning.start = mlxs::ReasoningStart::inside;
  if ((bytes[2] & 2U) != 0) options.tools.names = {"get_weather", "add", "now"};
  const std::size_t piece_bytes = 1 + bytes[3] % 9;
  const std::string_view output(
      reinterpret_cast<const char*>(bytes) + kHeaderBytes, num_bytes - kHeaderBytes
  );
  const mlxs::OutputDelta whole = parse(options, output, output.size() + 1);
  if (parse(options, output, piece_bytes) != whole) std::abort();
  std::ranges::for_each(whole.tool_calls, check_arguments);
  const bool is_text_alone = whole.tool_calls.empty() && options.reasoning.format == nullptr;
  if (is_text_alone && without_blanks(whole.text) != without_blanks(output)) std::abort();
  return 0;
}
