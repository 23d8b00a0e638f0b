// The primitive copies rows, so that the model's own logits stay as they are for who else reads
// them.
#include "kernels/token_mask/token_mask.h"

#include <mlx/allocator.h>
#include <mlx/backend/cpu/encoder.h>
#include <mlx/ops.h>
#include <mlx/primitives.h>
#include <mlx/utils.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu_context.h"

namespace mlxs {
namespace {

constexpr float kExcluded = -std::numeric_limits<float>::infinity();
constexpr std::size_t kWordBits = 32;
constexpr std::uint32_t kAllBits = 0xFFFF'FFFF;

using OwnedMask = std::vector<std::uint32_t>;  // empty: every token may come

// Most words of a mask are all zeros or all ones.
void mask_word(std::uint32_t word, std::span<const float> from, float* to) {
  if (word == 0) {
    std::fill_n(to, from.size(), kExcluded);
  } else if (word == kAllBits) {
    std::ranges::copy(from, to);
  } else {
    for (std::size_t bit = 0; bit < from.size(); ++bit)
      to[bit] = (word >> bit & 1U) != 0 ? from[bit] : kExcluded;
  }
}

void mask_row(const OwnedMask& mask, std::span<const float> from, float* to) {
  if (mask.empty()) {
    std::ranges::copy(from, to);
    return;
  }
  for (std::size_t first = 0; first < from.size(); first += kWordBits) {
    const std::size_t index = first / kWordBits;
    const std::size_t count = std::min(kWordBits, from.size() - first);
    mask_word(index < mask.size() ? mask[index] : 0, from.subspan(first, count), to + first);
  }
}

struct MaskTask {
  std::shared_ptr<CpuContext> context;
  std::shared_ptr<const std::vector<OwnedMask>> masks;
  const float* logits = nullptr;  // [B, V]
  float* masked = nullptr;        // [B, V]
  std::size_t vocab_size = 0;

  void run() const {
    context->team.run(static_cast<int>(masks->size()), [this](int part, int /*thread*/) {
      const auto row = static_cast<std::size_t>(part);
      const std::size_t first = row * vocab_size;
      mask_row((*masks)[row], {logits + first, vocab_size}, masked + first);
    });
  }
};

// Input: logits. Output: masked.
class ApplyTokenMasks final : public mx::Primitive {
 public:
  ApplyTokenMasks(
      mx::Stream stream,
      std::shared_ptr<CpuContext> context,
      std::shared_ptr<const std::vector<OwnedMask>> masks
  )
      : Primitive(stream), context_(std::move(context)), masks_(std::move(masks)) {}

  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override {
    if (!inputs[0].flags().row_contiguous)
      throw std::invalid_argument("[token_mask] the logits must be row-major");
    outputs[0].set_data(mx::allocator::malloc(outputs[0].nbytes()));
    const MaskTask task{
        .context = context_,
        .masks = masks_,
        .logits = inputs[0].data<float>(),
        .masked = outputs[0].data<float>(),
        .vocab_size = static_cast<std::size_t>(inputs[0].shape(1))
    };
    // MLX keeps the input until the task is done, but not the output.
    mx::cpu::get_command_encoder(stream()).dispatch([task, out = outputs[0].data_shared_ptr()] {
      task.run();
    });
  }

  void eval_gpu(
      const std::vector<mx::array>& /*inputs*/, std::vector<mx::array>& /*outputs*/
  ) override {
    throw std::logic_error("[token_mask] runs on the CPU only");
  }

  const char* name() const override { return "ApplyTokenMasks"; }

 private:
  std::shared_ptr<CpuContext> context_;
  std::shared_ptr<const std::vector<OwnedMask>> masks_;
};

void check(const mx::array& logits, const std::vector<TokenMask>& masks) {
  const bool fits = logits.ndim() == 2 && logits.dtype() == mx::float32 &&
                    static_cast<std::size_t>(logits.shape(0)) == masks.size();
  if (!fits) throw std::invalid_argument("[token_mask] needs logits [B, V] and B masks");
}

bool has_mask(const std::vector<TokenMask>& masks) {
  return std::ranges::any_of(masks, [](TokenMask mask) { return !mask.empty(); });
}

}  // namespace

mx::array apply_token_masks_reference(
    const mx::array& logits, const std::vector<TokenMask>& masks
) {
  check(logits, masks);
  if (!has_mask(masks)) return logits;
  const int num_rows = logits.shape(0);
  const int vocab_size = logits.shape(1);
  const std::size_t num_words = (static_cast<std::size_t>(vocab_size) + kWordBits - 1) / kWordBits;
  OwnedMask words;  // [B, W]
  words.reserve(masks.size() * num_words);
  for (const TokenMask mask : masks) {
    const TokenMask used = mask.first(std::min(mask.size(), num_words));
    words.insert(words.end(), used.begin(), used.end());
    words.resize(words.size() + num_words - used.size(), mask.empty() ? kAllBits : 0);
  }
  const mx::array packed(words.data(), {num_rows, static_cast<int>(num_words), 1}, mx::uint32);
  const mx::array bits = mx::reshape(mx::arange(static_cast<int>(kWordBits)), {1, 1, -1});
  const mx::array spread = mx::bitwise_and(
      mx::right_shift(packed, mx::astype(bits, mx::uint32)), mx::array(std::uint32_t{1})
  );
  const mx::array all = mx::reshape(spread, {num_rows, -1});
  const mx::array keep = mx::slice(all, {0, 0}, {num_rows, vocab_size});
  return mx::where(mx::astype(keep, mx::bool_), logits, mx::array(kExcluded));
}

mx::array apply_token_masks(
    const mx::array& logits,
    const std::vector<TokenMask>& masks,
    const std::shared_ptr<CpuContext>& cpu
) {
  if (mx::to_stream({}).device != mx::Device::cpu)
    return apply_token_masks_reference(logits, masks);
  check(logits, masks);
  if (!has_mask(masks)) return logits;
  std::vector<OwnedMask> owned;
  owned.reserve(masks.size());
  for (const TokenMask mask : masks) owned.emplace_back(mask.begin(), mask.end());
  auto context = cpu ? cpu : std::make_shared<CpuContext>(CpuOptions{.num_threads = 1});
  return mx::array(
      logits.shape(),
      mx::float32,
      std::make_shared<ApplyTokenMasks>(
          mx::to_stream(mx::Device(mx::Device::cpu)),
          std::move(context),
          std::make_shared<const std::vector<OwnedMask>>(std::move(owned))
      ),
      {mx::contiguous(logits)}
  );
}

}  // namespace mlxs
