// The rounds and constants of the paper.
#include "sampling/philox.h"

#include <cstddef>
#include <cstdint>

namespace mlxs {
namespace {

constexpr std::uint64_t kMultiplier0 = 0xD2511F53;
constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
constexpr int kNumRounds = 10;

constexpr std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
constexpr std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

}  // namespace

PhiloxCounter philox4x32_10(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < kNumRounds; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0];
    const std::uint64_t product1 = kMultiplier1 * counter[2];
    counter = {
        high(product1) ^ counter[1] ^ key[0],
        low(product1),
        high(product0) ^ counter[3] ^ key[1],
        low(product0)
    };
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

float uniform_draw(std::uint64_t seed, std::uint64_t position, DrawPurpose purpose) {
  const PhiloxCounter words =
      philox4x32_10({low(position), high(position), 0, 0}, {low(seed), high(seed)});
  return static_cast<float>(words[static_cast<std::size_t>(purpose)] >> 8) * 0x1p-24F;
}

}  // namespace mlxs
