// The primitive deals tokens to the team.
#include "kernels/embedding/embedding_cpu.h"

#include <mlx/backend/cpu/encoder.h>
#include <mlx/ops.h>
#include <mlx/primitives.h>
#include <mlx/utils.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

namespace mlxs {
namespace {

class EmbeddingCpu final : public mx::UnaryPrimitive {
 public:
  EmbeddingCpu(mx::Stream stream, const Linear& table)
      : UnaryPrimitive(stream), context_(table.cpu), table_(table.packed) {}

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& out) override {
    if (!inputs[0].flags().row_contiguous)
      throw std::invalid_argument("[embedding] tokens must be row-major");
    out.set_data(mx::allocator::malloc(out.nbytes()));
    const std::span<const std::int32_t> tokens{
        inputs[0].data<std::int32_t>(), static_cast<std::size_t>(inputs[0].shape(0))
    };
    // MLX keeps the inputs until the task is done, but not the output.
    mx::cpu::get_command_encoder(stream()).dispatch([context = context_,
                                                     table = table_,
                                                     tokens,
                                                     to = out.data<float>(),
                                                     buffer = out.data_shared_ptr()] {
      embedding_rows(*context, *table, tokens, to);
    });
  }

  void eval_gpu(const std::vector<mx::array>& /*inputs*/, mx::array& /*out*/) override {
    throw std::logic_error("[embedding_cpu] runs on the CPU only");
  }

  const char* name() const override { return "EmbeddingCpu"; }

 private:
  std::shared_ptr<CpuContext> context_;
  std::shared_ptr<const PackedLinear> table_;
};

}  // namespace

void embedding_rows(
    CpuContext& context, const PackedLinear& table, std::span<const std::int32_t> tokens, float* out
) {
  constexpr std::size_t kTokensPerPart = 4;
  constexpr std::size_t kMaxParts = 1 << 12;
  const std::size_t num_parts =
      std::min((tokens.size() + kTokensPerPart - 1) / kTokensPerPart, kMaxParts);
  const auto num_columns = static_cast<std::size_t>(table.num_columns);
  context.team.run(static_cast<int>(num_parts), [&](int index) {
    const auto part = static_cast<std::size_t>(index);
    const std::size_t last = tokens.size() * (part + 1) / num_parts;
    for (std::size_t i = tokens.size() * part / num_parts; i < last; ++i)
      unpack_rows(table, tokens[i], 1, out + i * num_columns);
  });
}

mx::array embedding_cpu(const mx::array& tokens, const Linear& table) {
  return mx::array(
      {tokens.shape(0), table.packed->num_columns},
      mx::float32,
      std::make_shared<EmbeddingCpu>(mx::to_stream(mx::Device(mx::Device::cpu)), table),
      {mx::contiguous(mx::astype(tokens, mx::int32))}
  );
}

}  // namespace mlxs
