// Tells a model's reasoning from its answer, while the output comes, and counts its tokens. Blanks
// at the borders of both are dropped.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "text/reasoning_parser/reasoning_format.h"

namespace mlxs {

// Where an output begins.
enum class ReasoningStart {
  by_mark,  // in the answer, unless the first thing is the mark that begins reasoning
  inside,   // in the reasoning: the prompt ended with its mark
};

struct ReasoningOptions {
  const ReasoningFormat* format = nullptr;  // null: everything is the answer
  ReasoningStart start = ReasoningStart::by_mark;
  // Marks that end the reasoning as well, and belong to the answer: those that begin tool calls.
  // They outlive the parser.
  std::span<const std::string_view> other_ends = {};
};

struct ReasoningDelta {
  std::string reasoning = {};
  std::string answer = {};
};

// However an output is cut into pieces, the joined deltas are the same; only the count goes by the
// pieces. Thread safety: none.
class ReasoningParser {
 public:
  explicit ReasoningParser(const ReasoningOptions& options);

  // Takes the text of one token. RETURNS: what it completes.
  [[nodiscard]] ReasoningDelta append(std::string_view token_text);

  // RETURNS: what was held back. Nothing may be appended afterwards.
  [[nodiscard]] ReasoningDelta finish();

  // RETURNS: whether what comes next is certainly not reasoning: an answer's constraint starts
  // here.
  [[nodiscard]] bool has_ended() const { return state_ == State::after || state_ == State::answer; }
  [[nodiscard]] bool is_inside() const {
    return state_ == State::begun || state_ == State::reasoning;
  }

  // RETURNS: how many tokens lay within the reasoning, its marks aside.
  [[nodiscard]] int num_tokens() const { return num_tokens_; }

  // RETURNS: the text that ends the reasoning, for a budget that is spent; its tokens are then
  // forced.
  [[nodiscard]] std::string closing_text() const;

 private:
  enum class State {
    before,     // nothing but blanks yet, or part of the mark that begins
    begun,      // after that mark, before the first of the reasoning
    reasoning,  // in it
    after,      // after the mark that ends, before the first of the answer
    answer,     // in it
  };

  void push(char character, ReasoningDelta& delta);
  void push_before(ReasoningDelta& delta);
  void push_reasoning(ReasoningDelta& delta);
  void push_answer(std::string_view text, ReasoningDelta& delta);
  [[nodiscard]] bool begins_end(std::string_view text) const;

  ReasoningOptions options_;
  State state_;
  std::string held_;         // may become a mark
  std::string held_blanks_;  // dropped if the reasoning ends with them
  int num_tokens_ = 0;
};

}  // namespace mlxs
