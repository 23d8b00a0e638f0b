// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random
// numbers: as easy as 1, 2, 3" (SC 2011). A draw is a pure function of its key and counter, so it
// does not depend on what else is drawn.
#pragma once

#include <array>
#include <cstdint>

namespace mlxs {

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

// RETURNS: four independent random words.
[[nodiscard]] PhiloxCounter philox4x32_10(PhiloxCounter counter, PhiloxKey key);

// What a number is drawn for; the numbers of different purposes are independent.
enum class DrawPurpose : std::uint8_t { token = 0, xtc = 1 };

// RETURNS: a float in [0, 1), a multiple of 2^-24: the draw of the token at `position` of a
// sequence with this seed.
[[nodiscard]] float uniform_draw(
    std::uint64_t seed, std::uint64_t position, DrawPurpose purpose = DrawPurpose::token
);

}  // namespace mlxs
