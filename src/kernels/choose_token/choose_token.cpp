// The primitive: rows dealt to the team.
#include "kernels/choose_token/choose_token.h"

#include <mlx/allocator.h>
#include <mlx/backend/cpu/encoder.h>
#include <mlx/ops.h>
#include <mlx/primitives.h>
#include <mlx/utils.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "kernels/choose_token/choose_row.h"
#include "kernels/choose_token/filter_row.h"
#include "kernels/choose_token/token_kernel.h"
#include "kernels/cpu/cpu_context.h"

namespace mlxs {
namespace {

struct ChooseTask {
  std::shared_ptr<CpuContext> context;
  std::shared_ptr<const std::vector<ChooseRule>> rules;
  const float* adjusted = nullptr;  // [B, V]
  const float* raw = nullptr;       // [B, V]
  std::int32_t* tokens = nullptr;
  bool* valid = nullptr;
  float* surprises = nullptr;
  float* kept = nullptr;  // [K, V]
  std::size_t vocab_size = 0;

  // RETURNS: where the row's filtered logits go; empty where they are not asked for.
  [[nodiscard]] std::span<float> kept_of(std::size_t row) const {
    if (!(*rules)[row].is_kept) return {};
    const auto first = rules->begin();
    const auto index = static_cast<std::size_t>(std::count_if(
        first,
        first + static_cast<std::ptrdiff_t>(row),
        [](const auto& rule) { return rule.is_kept; }
    ));
    return {kept + index * vocab_size, vocab_size};
  }

  void choose(std::size_t row, const TokenKernels& kernels, ChooseScratch& scratch) const {
    const std::span<const float> logits{adjusted + row * vocab_size, vocab_size};
    const ChooseRule& rule = (*rules)[row];
    surprises[row] = 0.0F;
    if (rule.filters) {
      const FilteredToken filtered = filter_row(logits, *rule.filters, kept_of(row));
      tokens[row] = filtered.token;
      surprises[row] = filtered.surprise;
    } else {
      tokens[row] = choose_row(kernels, logits, rule.plain, scratch);
    }
    const RowScan scan = kernels.scan(raw + row * vocab_size, static_cast<int>(vocab_size));
    valid[row] = !scan.has_invalid && scan.largest > -std::numeric_limits<float>::infinity();
  }

  void run() const {
    context->scratch.reset();
    const TokenKernels& kernels = token_kernels(context->path);
    const auto num_threads = static_cast<std::size_t>(context->team.num_threads());
    auto* scratch = context->scratch.take<ChooseScratch>(num_threads);
    const std::size_t num_blocks = (vocab_size + ChooseScratch::kBlock - 1) / ChooseScratch::kBlock;
    for (std::size_t thread = 0; thread < num_threads; ++thread) {
      scratch[thread].ids = {context->scratch.take<std::int32_t>(vocab_size), vocab_size};
      scratch[thread].block_sums = {context->scratch.take<double>(num_blocks), num_blocks};
    }
    context->team.run(static_cast<int>(rules->size()), [&](int part, int thread) {
      choose(static_cast<std::size_t>(part), kernels, scratch[static_cast<std::size_t>(thread)]);
    });
  }
};

// Inputs: adjusted, raw. Outputs: tokens, valid, surprises, kept.
class ChooseTokens final : public mx::Primitive {
 public:
  ChooseTokens(
      mx::Stream stream,
      std::shared_ptr<CpuContext> context,
      std::shared_ptr<const std::vector<ChooseRule>> rules
  )
      : Primitive(stream), context_(std::move(context)), rules_(std::move(rules)) {}

  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override {
    if (!inputs[0].flags().row_contiguous || !inputs[1].flags().row_contiguous)
      throw std::invalid_argument("[choose_tokens] the logits must be row-major");
    for (mx::array& output : outputs) output.set_data(mx::allocator::malloc(output.nbytes()));
    const ChooseTask task{
        .context = context_,
        .rules = rules_,
        .adjusted = inputs[0].data<float>(),
        .raw = inputs[1].data<float>(),
        .tokens = outputs[0].data<std::int32_t>(),
        .valid = outputs[1].data<bool>(),
        .surprises = outputs[2].data<float>(),
        .kept = outputs[3].data<float>(),
        .vocab_size = static_cast<std::size_t>(inputs[0].shape(1))
    };
    // MLX keeps the inputs until the task is done, but not the outputs.
    mx::cpu::get_command_encoder(stream()).dispatch([task,
                                                     tokens = outputs[0].data_shared_ptr(),
                                                     valid = outputs[1].data_shared_ptr(),
                                                     surprises = outputs[2].data_shared_ptr(),
                                                     kept = outputs[3].data_shared_ptr()] {
      task.run();
    });
  }

  void eval_gpu(
      const std::vector<mx::array>& /*inputs*/, std::vector<mx::array>& /*outputs*/
  ) override {
    throw std::logic_error("[choose_tokens] runs on the CPU only");
  }

  const char* name() const override { return "ChooseTokens"; }

 private:
  std::shared_ptr<CpuContext> context_;
  std::shared_ptr<const std::vector<ChooseRule>> rules_;
};

}  // namespace

ChosenTokens choose_tokens(
    const mx::array& adjusted,
    const mx::array& raw,
    std::vector<ChooseRule> rules,
    const std::shared_ptr<CpuContext>& cpu
) {
  const bool fits = adjusted.ndim() == 2 && adjusted.dtype() == mx::float32 &&
                    raw.shape() == adjusted.shape() && raw.dtype() == mx::float32 &&
                    adjusted.shape(1) > 0 &&
                    static_cast<std::size_t>(adjusted.shape(0)) == rules.size();
  if (!fits) throw std::invalid_argument("[choose_tokens] needs logits [B, V] and B rules");
  auto context = cpu ? cpu : std::make_shared<CpuContext>(CpuOptions{.num_threads = 1});
  const mx::Shape shape{adjusted.shape(0)};
  const auto num_kept = static_cast<int>(std::ranges::count_if(rules, &ChooseRule::is_kept));
  const std::vector<mx::array> outputs = mx::array::make_arrays(
      {shape, shape, shape, mx::Shape{num_kept, adjusted.shape(1)}},
      {mx::int32, mx::bool_, mx::float32, mx::float32},
      std::make_shared<ChooseTokens>(
          mx::to_stream(mx::Device(mx::Device::cpu)),
          std::move(context),
          std::make_shared<const std::vector<ChooseRule>>(std::move(rules))
      ),
      {mx::contiguous(adjusted), mx::contiguous(raw)}
  );
  return {.tokens = outputs[0], .valid = outputs[1], .surprises = outputs[2], .kept = outputs[3]};
}

}  // namespace mlxs
