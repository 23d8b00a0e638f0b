// The ways in which models mark their reasoning.
#pragma once

#include <span>
#include <string_view>

namespace mlxs {

struct ReasoningFormat {
  std::string_view name;
  std::string_view begin;
  std::string_view end;
  // What a model writes before an answer without reasoning, and nobody needs to see; may be empty.
  std::string_view answer_mark;
};

// RETURNS: all of them.
[[nodiscard]] std::span<const ReasoningFormat> reasoning_formats();

// RETURNS: the format of that name, or null.
[[nodiscard]] const ReasoningFormat* find_reasoning_format(std::string_view name);

// RETURNS: the format that a chat template speaks of, or null where there is none.
[[nodiscard]] const ReasoningFormat* detect_reasoning_format(std::string_view template_source);

// RETURNS: whether a rendered prompt ends within the reasoning, as templates have it that open it
// themselves.
[[nodiscard]] bool prompt_opens_reasoning(const ReasoningFormat& format, std::string_view prompt);

}  // namespace mlxs
