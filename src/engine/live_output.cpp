// The guide sees a token before anybody else does.
#include "engine/live_output.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/output_guide.h"
#include "engine/output_plan.h"
#include "engine/output_text.h"
#include "engine/text_model.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"
#include "text/output_delta.h"

namespace mlxs {
namespace {

// A grammar's output has to end at some point, so that an end cannot be ignored there.
std::vector<std::int32_t> stop_tokens(
    const TextModel& text, const StopParams& stop, const OutputPlan& plan
) {
  std::vector<std::int32_t> ids = stop.stop_token_ids;
  if (!stop.ignore_eos || plan.guide.grammar)
    ids.insert(ids.end(), text.eos_ids.begin(), text.eos_ids.end());
  return ids;
}

}  // namespace

LiveOutput::LiveOutput(
    const TextModel& text, const StopParams& stop, OutputPlan& plan, std::size_t index
)
    : stop_token_ids_(stop_tokens(text, stop, plan)),
      includes_stop_(stop.includes_stop),
      text_(
          text.tokenizer,
          {.decode = {.written_special_ids = plan.written_special_ids},
           .stop = stop.stop,
           .includes_stop = stop.includes_stop,
           .min_tokens = stop.min_tokens}
      ),
      guide_(index < plan.guides.size() ? std::move(plan.guides[index]) : nullptr) {
  if (!plan.parser) return;
  OutputParserOptions options = *plan.parser;
  options.tools.id_seed += index;
  parser_.emplace(std::move(options));
}

LiveOutput::Piece LiveOutput::take(std::int32_t token_id) {
  const bool is_stop_token = std::ranges::find(stop_token_ids_, token_id) != stop_token_ids_.end();
  const bool is_complete = guide(token_id, is_stop_token);
  const bool is_shown = !is_stop_token || includes_stop_;
  std::string shown = is_shown ? text_.append(token_id) : std::string();
  Piece piece{
      .delta = {},
      .is_end = is_stop_token || is_complete || text_.is_stopped(),
      .is_shown = is_shown
  };
  if (parser_) {
    piece.delta = parser_->append(shown);
  } else {
    piece.delta.text = std::move(shown);
  }
  return piece;
}

// RETURNS: whether nothing but an end may come.
bool LiveOutput::guide(std::int32_t token_id, bool is_stop_token) {
  if (!guide_) return false;
  if (is_stop_token) {
    guide_->accept_end();
    return true;
  }
  const bool is_complete = guide_->accept(token_id) == OutputGuide::Step::complete;
  if (guide_->is_done()) guide_.reset();
  return is_complete;
}

OutputDelta LiveOutput::finish() {
  std::string shown = text_.finish();
  if (!parser_) return {.text = std::move(shown)};
  OutputDelta delta = parser_->append(shown);
  delta.append(parser_->finish());
  return delta;
}

void LiveOutput::describe(Finish& finish) const {
  finish.stop_string = text_.stopped_by();
  if (!parser_) return;
  finish.num_tool_calls = parser_->num_calls();
  finish.usage.reasoning_tokens = parser_->reasoning().num_tokens();
}

}  // namespace mlxs
