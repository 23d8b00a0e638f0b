// Feeds the format's coroutine.
#include "text/tool_parser/tool_parser.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "text/output_delta.h"
#include "text/tool_parser/parse.h"
#include "text/tool_parser/tool_format.h"
#include "text/tool_parser/tool_output.h"
#include "text/tool_parser/tool_scanner.h"

namespace mlxs {

// The coroutine points at the scanner, so that both stay where they are.
struct ToolParser::Run {
  explicit Run(ToolParserOptions options)
      : scanner(
            std::move(options.names),
            ToolOutput(
                options.format == nullptr ? ToolIdStyle::openai : options.format->id_style,
                options.id_seed
            )
        ) {
    if (options.format == nullptr) return;
    parser = options.format->parse(scanner);
    scanner.stream().start(parser.handle());
  }

  ToolScanner scanner;
  Parse<void> parser;
};

ToolParser::ToolParser(ToolParserOptions options)
    : run_(std::make_unique<Run>(std::move(options))) {}
ToolParser::ToolParser(ToolParser&&) noexcept = default;
ToolParser& ToolParser::operator=(ToolParser&&) noexcept = default;
ToolParser::~ToolParser() = default;

OutputDelta ToolParser::append(std::string_view text) {
  if (!run_->parser.handle()) return {.text = std::string(text)};
  for (const char character : text) run_->scanner.stream().push(character);
  return run_->scanner.output().take();
}

OutputDelta ToolParser::finish() {
  if (!run_->parser.handle()) return {};
  run_->scanner.stream().close();
  run_->scanner.give_up();
  run_->scanner.output().finish();
  return run_->scanner.output().take();
}

int ToolParser::num_calls() const { return run_->scanner.output().num_calls(); }

}  // namespace mlxs
