// What a request's outputs are to be, worked out before it runs: how they are read, and the grammar
// that they keep to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/output_guide.h"
#include "engine/text_model.h"
#include "mlx_serving/request.h"
#include "text/output_parser.h"

namespace mlxs {

struct OutputPlan {
  GuideOptions guide = {};
  // One for each output, null where nothing restricts it; none at all where no output is
  // restricted.
  std::vector<std::unique_ptr<OutputGuide>> guides = {};
  std::optional<OutputParserOptions> parser = {};      // none: everything is text
  std::vector<std::int32_t> written_special_ids = {};  // what the parser waits for
};

// RETURNS: whether planning may have to compile a grammar, which takes up to seconds.
[[nodiscard]] bool needs_grammar(const Request& request);

// `prompt_ids` are what the prompt became.
// ERRORS: Error with the field's name: invalid_value, and unsupported, which names what of a
// constraint cannot be kept.
[[nodiscard]] OutputPlan plan_output(
    const Request& request, std::span<const std::int32_t> prompt_ids, const TextModel& text
);

// Makes the guides of `count` outputs, and the masks of their first tokens.
void make_guides(OutputPlan& plan, std::size_t count, const TextModel& text);

}  // namespace mlxs
