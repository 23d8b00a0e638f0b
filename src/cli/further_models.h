// The models that `serve` can load beside its own, out of the setting `models`.
#pragma once

#include <vector>

#include "base/settings.h"
#include "cli/command.h"
#include "server/models/model_source.h"

namespace mlxs {

// RETURNS: one source an entry NAME=MODEL; each is opened as `serve` opens its own model, but for
// the model. REQUIRES: `context` outlives them. ERRORS: invalid_config for another form of entry,
// or a name that stands twice.
[[nodiscard]] std::vector<ModelSource> further_models(
    const Settings& settings, const CliContext& context
);

}  // namespace mlxs
