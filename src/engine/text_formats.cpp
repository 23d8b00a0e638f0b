// What a chat template's source tells of a model's manners.
#include <string_view>

#include "engine/text_model.h"
#include "text/reasoning_parser/reasoning_format.h"
#include "text/tool_parser/tool_format.h"

namespace mlxs {

void read_formats(std::string_view template_source, TextModel& model) {
  model.template_has_tools = template_source.find("tools") != std::string_view::npos;
  model.tool_format =
      model.template_has_tools ? detect_tool_format(template_source) : &kHermesToolFormat;
  model.reasoning_format = detect_reasoning_format(template_source);
}

}  // namespace mlxs
