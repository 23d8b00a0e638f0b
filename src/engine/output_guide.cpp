// The mask says what may be sampled; accept() does not rely on it.
#include "engine/output_guide.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/mask_job.h"
#include "engine/text_model.h"
#include "mlx_serving/error.h"
#include "text/grammar.h"
#include "text/reasoning_parser/reasoning_parser.h"
#include "text/tokenizer.h"

namespace mlxs {
namespace {

constexpr std::uint32_t kAllBits = 0xFFFF'FFFF;

void set_bit(std::span<std::uint32_t> words, std::int32_t id) {
  words[static_cast<std::size_t>(id) / 32] |= 1U << static_cast<std::uint32_t>(id) % 32;
}

void clear_bit(std::span<std::uint32_t> words, std::int32_t id) {
  words[static_cast<std::size_t>(id) / 32] &= ~(1U << static_cast<std::uint32_t>(id) % 32);
}

std::shared_ptr<MaskJob> all_but(const TextModel& text) {
  return std::make_shared<MaskJob>(
      text.grammars->vocabulary.num_mask_words(),
      [ids = text.eos_ids](std::span<std::uint32_t> words) {
        std::ranges::fill(words, kAllBits);
        for (const std::int32_t id : ids) clear_bit(words, id);
      }
  );
}

[[noreturn]] void refuse(std::int32_t id) {
  throw Error(
      ErrorCode::engine_error,
      fmt::format("token {} does not fulfil this request's constraint; the request ends here", id)
  );
}

}  // namespace

OutputGuide::OutputGuide(const TextModel& text, const GuideOptions& options)
    : text_(text),
      max_reasoning_tokens_(options.max_reasoning_tokens),
      reasoning_(options.reasoning),
      detokenizer_(text.tokenizer, {.special_tokens = SpecialTokensInOutput::kept}) {
  if (options.grammar) matcher_ = std::make_shared<GrammarMatcher>(options.grammar->make_matcher());
  if (reasoning_.has_ended()) {
    phase_ = Phase::answer;
  } else {
    begin_id_ = text.tokenizer.token_to_id(options.reasoning.format->begin);
    no_end_ = all_but(text);
    // Reasoning whose beginning cannot be told from an answer's is not waited for.
    if (matcher_ && !begin_id_ && !reasoning_.is_inside()) phase_ = Phase::answer;
    if (reasoning_.is_inside()) phase_ = Phase::reasoning;
    cut_if_spent();
  }
  update_mask();
}

OutputGuide::Step OutputGuide::accept(std::int32_t id) {
  check_mask();
  const bool begins_answer = phase_ == Phase::undecided && matcher_ && id != begin_id_;
  if (begins_answer) phase_ = Phase::answer;
  if (phase_ != Phase::answer) {
    take_reasoning(id);
  } else if (!forced_.empty()) {
    if (id != forced_.front()) refuse(id);
    forced_.pop_front();
  } else if (matcher_) {
    advance(id);
  }
  if (matcher_ && phase_ == Phase::answer && matcher_->is_finished()) return Step::complete;
  update_mask();
  return Step::goes_on;
}

void OutputGuide::accept_end() {
  check_mask();
  if (!matcher_) return;
  const bool may_end = phase_ == Phase::reasoning ? false : matcher_->may_stop();
  if (may_end) return;
  throw Error(
      ErrorCode::engine_error, "the output ended before it fulfilled this request's constraint"
  );
}

// The mask's thread may still be at work on the matcher.
void OutputGuide::check_mask() {
  if (mask_ && mask_->error()) throw *mask_->error();
}

void OutputGuide::advance(std::int32_t id) {
  if (!matcher_->advance(id)) refuse(id);
}

void OutputGuide::take_reasoning(std::int32_t id) {
  if (!forced_.empty()) {
    if (id != forced_.front()) refuse(id);
    forced_.pop_front();
  }
  const ReasoningDelta delta = reasoning_.append(detokenizer_.append(id));
  if (reasoning_.has_ended()) {
    phase_ = Phase::answer;
    if (!matcher_) return;
    // Blanks after the mark are not the answer's, and the rest of its token is.
    forced_.clear();
    if (delta.answer.empty()) return;
    for (const std::int32_t of_answer : text_.tokenizer.encode(delta.answer)) advance(of_answer);
    return;
  }
  if (!reasoning_.is_inside()) return;
  phase_ = Phase::reasoning;
  cut_if_spent();
}

void OutputGuide::cut_if_spent() {
  const bool is_spent = reasoning_.is_inside() && max_reasoning_tokens_ &&
                        reasoning_.num_tokens() >= *max_reasoning_tokens_;
  if (!is_spent || is_cut_) return;
  is_cut_ = true;
  const std::vector<std::int32_t> closing = text_.tokenizer.encode(reasoning_.closing_text());
  forced_.assign(closing.begin(), closing.end());
}

void OutputGuide::update_mask() {
  if (!forced_.empty()) {
    mask_ = single_token_mask(forced_.front());
  } else if (phase_ == Phase::reasoning) {
    mask_ = matcher_ ? no_end_ : nullptr;
  } else {
    mask_ = matcher_ ? grammar_mask() : nullptr;
  }
}

std::shared_ptr<MaskJob> OutputGuide::grammar_mask() const {
  const bool may_begin_reasoning = phase_ == Phase::undecided && begin_id_;
  return std::make_shared<MaskJob>(
      text_.grammars->vocabulary.num_mask_words(),
      [matcher = matcher_,
       begin = may_begin_reasoning ? begin_id_ : std::nullopt](std::span<std::uint32_t> words) {
        matcher->mask(words);
        if (begin) set_bit(words, *begin);
      }
  );
}

std::shared_ptr<MaskJob> OutputGuide::single_token_mask(std::int32_t id) const {
  return std::make_shared<MaskJob>(
      text_.grammars->vocabulary.num_mask_words(),
      [id](std::span<std::uint32_t> words) { set_bit(words, id); }
  );
}

}  // namespace mlxs
