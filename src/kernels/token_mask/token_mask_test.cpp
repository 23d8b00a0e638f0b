// The primitive against the reference, and both against the definition.
#include "kernels/token_mask/token_mask.h"

#include <gtest/gtest.h>
#include <mlx/ops.h>
#include <mlx/random.h>
#include <mlx/transforms.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "kernels/mx.h"

namespace mlxs {
namespace {

using Words = std::vector<std::uint32_t>;

std::vector<float> values_of(mx::array array) {
  array = mx::contiguous(array);
  array.eval();
  return {array.data<float>(), array.data<float>() + array.size()};
}

TEST(TokenMask, keeps_exactly_what_each_rows_mask_has) {
  const mx::StreamContext on_cpu(mx::Device(mx::Device::cpu));
  for (const int vocab_size : {1, 31, 32, 33, 70, 257}) {
    const mx::array logits = mx::random::normal({4, vocab_size});
    const auto num_words = (static_cast<std::size_t>(vocab_size) + 31) / 32;
    const Words mixed(num_words, 0xA5A5'0F01);
    const Words full(num_words, 0xFFFF'FFFF);
    const Words cut(1, 0xFFFF'FFFF);  // shorter than the vocabulary
    const std::vector<TokenMask> masks{mixed, {}, full, cut};
    const std::vector<float> raw = values_of(logits);
    const std::vector<float> masked = values_of(apply_token_masks(logits, masks, nullptr));
    const std::vector<float> reference = values_of(apply_token_masks_reference(logits, masks));
    ASSERT_EQ(masked, reference) << vocab_size;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const std::size_t row = i / static_cast<std::size_t>(vocab_size);
      const std::size_t id = i % static_cast<std::size_t>(vocab_size);
      const TokenMask mask = masks[row];
      const bool may_come =
          mask.empty() || (id / 32 < mask.size() && (mask[id / 32] >> id % 32 & 1U) != 0);
      if (may_come) {
        EXPECT_EQ(masked[i], raw[i]);
      } else {
        EXPECT_TRUE(std::isinf(masked[i]) && masked[i] < 0.0F);
      }
    }
  }
}

TEST(TokenMask, costs_nothing_without_a_mask) {
  const mx::array logits = mx::zeros({2, 8});
  EXPECT_EQ(apply_token_masks(logits, {{}, {}}, nullptr).id(), logits.id());
}

TEST(TokenMask, wants_a_mask_for_each_row) {
  EXPECT_THROW(
      static_cast<void>(apply_token_masks(mx::zeros({2, 8}), {{}}, nullptr)), std::invalid_argument
  );
}

}  // namespace
}  // namespace mlxs
