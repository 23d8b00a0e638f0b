// A table of marks.
#include "text/reasoning_parser/reasoning_format.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace mlxs {
namespace {

// Marks that are a part of another's come after it, because a template's first that fits decides.
constexpr std::array<ReasoningFormat, 6> kFormats = {{
    {.name = "harmony",
     .begin = "<|channel|>analysis<|message|>",
     .end = "<|end|><|start|>assistant<|channel|>final<|message|>",
     .answer_mark = "<|channel|>final<|message|>"},
    {.name = "gemma4", .begin = "<|channel>thought", .end = "<channel|>", .answer_mark = ""},
    {.name = "mistral", .begin = "[THINK]", .end = "[/THINK]", .answer_mark = ""},
    {.name = "seed", .begin = "<seed:think>", .end = "</seed:think>", .answer_mark = ""},
    {.name = "think", .begin = "<think>", .end = "</think>", .answer_mark = ""},
    {.name = "thinking", .begin = "<thinking>", .end = "</thinking>", .answer_mark = ""},
}};

}  // namespace

std::span<const ReasoningFormat> reasoning_formats() { return kFormats; }

const ReasoningFormat* find_reasoning_format(std::string_view name) {
  const auto* const format = std::ranges::find(kFormats, name, &ReasoningFormat::name);
  return format == kFormats.end() ? nullptr : format;
}

const ReasoningFormat* detect_reasoning_format(std::string_view template_source) {
  const auto* const format = std::ranges::find_if(kFormats, [&](const ReasoningFormat& candidate) {
    const std::string_view begin =
        candidate.name == "harmony" ? std::string_view("<|channel|>analysis") : candidate.begin;
    return template_source.find(begin) != std::string_view::npos;
  });
  return format == kFormats.end() ? nullptr : format;
}

bool prompt_opens_reasoning(const ReasoningFormat& format, std::string_view prompt) {
  const std::size_t last = prompt.find_last_not_of(" \n\r\t");
  if (last == std::string_view::npos) return false;
  return prompt.substr(0, last + 1).ends_with(format.begin);
}

}  // namespace mlxs
