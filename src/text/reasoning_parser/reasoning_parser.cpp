// One character at a time, holding back what may become a mark.
#include "text/reasoning_parser/reasoning_parser.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "text/reasoning_parser/reasoning_format.h"

namespace mlxs {
namespace {

constexpr std::string_view kBlanks = " \n\r\t";

bool is_blank(char character) { return kBlanks.find(character) != std::string_view::npos; }

}  // namespace

ReasoningParser::ReasoningParser(const ReasoningOptions& options)
    : options_(options), state_(State::before) {
  if (options_.format == nullptr) {
    state_ = State::answer;
  } else if (options_.start == ReasoningStart::inside) {
    state_ = State::begun;
  }
}

ReasoningDelta ReasoningParser::append(std::string_view token_text) {
  const bool was_inside = is_inside();
  ReasoningDelta delta;
  for (const char character : token_text) push(character, delta);
  if (was_inside && is_inside()) ++num_tokens_;
  return delta;
}

ReasoningDelta ReasoningParser::finish() {
  ReasoningDelta delta;
  if (is_inside()) {
    if (!held_.empty()) delta.reasoning = held_blanks_ + held_;
  } else {
    delta.answer = held_;
  }
  held_.clear();
  held_blanks_.clear();
  return delta;
}

std::string ReasoningParser::closing_text() const {
  return options_.format == nullptr ? std::string()
                                    : '\n' + std::string(options_.format->end) + "\n\n";
}

void ReasoningParser::push(char character, ReasoningDelta& delta) {
  if (state_ == State::answer || state_ == State::after) {
    push_answer(std::string_view(&character, 1), delta);
    return;
  }
  held_ += character;
  if (state_ == State::before) {
    push_before(delta);
  } else {
    push_reasoning(delta);
  }
}

void ReasoningParser::push_before(ReasoningDelta& delta) {
  const std::size_t start = held_.find_first_not_of(kBlanks);
  if (start == std::string::npos) return;
  const std::string_view text = std::string_view(held_).substr(start);
  const std::string_view begin = options_.format->begin;
  const std::string_view answer_mark = options_.format->answer_mark;
  if (text == begin) {
    state_ = State::begun;
    held_.clear();
  } else if (!answer_mark.empty() && text == answer_mark) {
    state_ = State::after;
    held_.clear();
  } else if (!begin.starts_with(text) && !answer_mark.starts_with(text)) {
    state_ = State::answer;
    delta.answer += std::exchange(held_, {});
  }
}

bool ReasoningParser::begins_end(std::string_view text) const {
  return options_.format->end.starts_with(text) ||
         std::ranges::any_of(options_.other_ends, [text](std::string_view mark) {
           return mark.starts_with(text);
         });
}

void ReasoningParser::push_reasoning(ReasoningDelta& delta) {
  while (!held_.empty() && !begins_end(held_)) {
    const char first = held_.front();
    held_.erase(0, 1);
    if (is_blank(first)) {
      if (state_ == State::reasoning) held_blanks_ += first;
      continue;
    }
    state_ = State::reasoning;
    delta.reasoning += std::exchange(held_blanks_, {});
    delta.reasoning += first;
  }
  if (held_ == options_.format->end) {
    state_ = State::after;
    held_.clear();
    held_blanks_.clear();
  } else if (std::ranges::find(options_.other_ends, std::string_view(held_)) !=
             options_.other_ends.end()) {
    state_ = State::answer;
    held_blanks_.clear();
    delta.answer += std::exchange(held_, {});
  }
}

void ReasoningParser::push_answer(std::string_view text, ReasoningDelta& delta) {
  if (state_ == State::after) {
    const std::size_t start = text.find_first_not_of(kBlanks);
    if (start == std::string_view::npos) return;
    state_ = State::answer;
    text.remove_prefix(start);
  }
  delta.answer += text;
}

}  // namespace mlxs
