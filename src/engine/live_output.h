// One output while it grows: which token may come next, what the tokens say, and when they end it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/mask_job.h"
#include "engine/output_guide.h"
#include "engine/output_plan.h"
#include "engine/output_text.h"
#include "engine/text_model.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"
#include "text/output_delta.h"
#include "text/output_parser.h"

namespace mlxs {

// Thread safety: none.
class LiveOutput {
 public:
  struct Piece {
    OutputDelta delta = {};
    bool is_end = false;   // the output ends with this token, by itself
    bool is_shown = true;  // the token is part of the output
  };

  // `index` is of the output among those of one request; its guide is taken out of the plan.
  // REQUIRES: `text` outlives this.
  LiveOutput(const TextModel& text, const StopParams& stop, OutputPlan& plan, std::size_t index);

  // Takes the next token. ERRORS: Error where it may not come, and any exception where its text
  // cannot be made: the output then ends without it.
  [[nodiscard]] Piece take(std::int32_t token_id);

  // RETURNS: what was held back. Nothing may be taken afterwards.
  [[nodiscard]] OutputDelta finish();

  // RETURNS: whether the next mask depends on a token that is not taken yet.
  [[nodiscard]] bool is_guided() const { return guide_ != nullptr; }
  // RETURNS: the mask of the next token; null: any may come.
  [[nodiscard]] std::shared_ptr<MaskJob> mask() const { return guide_ ? guide_->mask() : nullptr; }

  // Fills in what is known of the output's form.
  void describe(Finish& finish) const;

 private:
  [[nodiscard]] bool guide(std::int32_t token_id, bool is_stop_token);

  std::vector<std::int32_t> stop_token_ids_;  // the model's end tokens included
  bool includes_stop_;                        // the text of a stop token is shown
  OutputText text_;
  std::optional<OutputParser> parser_;  // none: everything is text
  std::unique_ptr<OutputGuide> guide_;  // null: any token may come
};

}  // namespace mlxs
