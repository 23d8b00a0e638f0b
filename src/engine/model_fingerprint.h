// What tells one model's cached pages from another's.
#pragma once

#include <string_view>

#include "cache/page_file.h"
#include "model/checkpoint/checkpoint.h"

namespace mlxs {

// RETURNS: a fingerprint of every weight, the configuration and `computation`, which names all else
// that the bytes of a page depend on. Reads the whole checkpoint. ERRORS: as Checkpoint::read().
[[nodiscard]] ModelFingerprint model_fingerprint(
    const Checkpoint& checkpoint, std::string_view computation
);

}  // namespace mlxs
