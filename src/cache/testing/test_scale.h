// How many cases the random tests run.
#pragma once

#include <cstddef>

namespace mlxs::testing {

// RETURNS: `full_count` times MLX_SERVING_TEST_SCALE (0.1 unless set; 1 in `make check-full`), at
// least 1.
[[nodiscard]] std::size_t scaled_count(std::size_t full_count);

}  // namespace mlxs::testing
