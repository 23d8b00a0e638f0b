// SHA-256, FIPS 180-4.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace mlxs {

using Sha256 = std::array<unsigned char, 32>;

[[nodiscard]] Sha256 sha256(std::string_view bytes);

// RETURNS: the digest that 64 hexadecimal digits write; nothing for any other text.
[[nodiscard]] std::optional<Sha256> parse_sha256(std::string_view text);

}  // namespace mlxs
