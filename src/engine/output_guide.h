// What an output may be, token by token: a grammar that holds from the end of the model's reasoning
// on, and the limit of that reasoning. Nothing that it does not allow ever passes.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/mask_job.h"
#include "engine/text_model.h"
#include "text/detokenizer.h"
#include "text/grammar.h"
#include "text/reasoning_parser/reasoning_parser.h"

namespace mlxs {

struct GuideOptions {
  std::shared_ptr<const Grammar> grammar = {};  // shared with the cache and others; null: none
  ReasoningOptions reasoning = {};
  std::optional<int> max_reasoning_tokens = {};
};

// One output's. Thread safety: none; the masks it gives are safe.
class OutputGuide {
 public:
  enum class Step {
    goes_on,
    complete,  // nothing but an end may come: the output ends here
  };

  // REQUIRES: `text` has grammars, and outlives this; there is a grammar or a limit.
  OutputGuide(const TextModel& text, const GuideOptions& options);

  // RETURNS: the mask of the next token, the same until the next accept(); null: any may come.
  [[nodiscard]] const std::shared_ptr<MaskJob>& mask() const { return mask_; }

  // Takes a token that does not end the output. ERRORS: Error: this output cannot go on, and the
  // token must not be shown.
  [[nodiscard]] Step accept(std::int32_t id);

  // Takes the end. ERRORS: Error where the output must not end yet.
  void accept_end();

  // RETURNS: whether from now on any token may come.
  [[nodiscard]] bool is_done() const {
    return phase_ == Phase::answer && !matcher_ && forced_.empty();
  }

  // RETURNS: whether the output must end in its own time: its end tokens cannot be ignored.
  [[nodiscard]] bool has_grammar() const { return matcher_ != nullptr; }

 private:
  enum class Phase {
    undecided,  // nothing yet: the reasoning may begin, or the answer
    reasoning,
    answer,
  };

  void check_mask();
  void take_reasoning(std::int32_t id);
  void cut_if_spent();
  void advance(std::int32_t id);
  void update_mask();
  [[nodiscard]] std::shared_ptr<MaskJob> grammar_mask() const;
  [[nodiscard]] std::shared_ptr<MaskJob> single_token_mask(std::int32_t id) const;

  const TextModel& text_;
  std::optional<int> max_reasoning_tokens_;
  std::shared_ptr<GrammarMatcher> matcher_;  // shared with the mask that is computed; null: none
  ReasoningParser reasoning_;
  Detokenizer detokenizer_;
  std::optional<std::int32_t> begin_id_;  // the mark that begins reasoning, where it is one token
  std::deque<std::int32_t> forced_;       // of the mark that ends it
  bool is_cut_ = false;                   // the limit was reached
  Phase phase_ = Phase::undecided;
  std::shared_ptr<MaskJob> no_end_;  // all but the end tokens
  std::shared_ptr<MaskJob> mask_;
};

}  // namespace mlxs
