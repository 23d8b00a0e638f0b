// The fused pass of a GPU against the plain composition in float32 on the CPU, with equal weights:
// prompts, chunks, decodes and all of them in one batch, over what layers differ in. Labelled gpu.
#include "kernels/gpu_forward.h"

#include <gtest/gtest.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>
#include <mlx/utils.h>

#include <ostream>
#include <string>

#include "kernels/embedding/embedding.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/testing/arrays.h"

namespace mlxs {
namespace {

using testing::host_values;
using testing::random_array;

constexpr int kVocab = 96;
constexpr int kPageSize = 16;
constexpr int kNumPages = 64;

struct Case {
  std::string name;
  AttentionSpec attention;
  int hidden_size = 256;
  int intermediate_size = 384;
  Activation activation = Activation::silu;
  int bits = 16;
  int group_size = 64;
  bool has_post_norms = false;
  bool is_float16 = false;
  bool is_int8_pool = false;

  [[nodiscard]] mx::Dtype dtype() const { return is_float16 ? mx::float16 : mx::bfloat16; }

  friend void PrintTo(const Case& instance, std::ostream* out) { *out << instance.name; }
};

enum class Where { cpu, gpu };

// Weights drawn on the host, so that both sides have the same; halves on the GPU, on the CPU
// float32 of the same values.
class Weights {
 public:
  Weights(const Case& instance, Where where) : case_(instance), where_(where) {}

  Linear matrix(int num_outputs, int num_columns, bool has_bias) {
    const float spread = 1.7F / std::sqrt(static_cast<float>(num_columns));
    Linear result{.weight = drawn({num_outputs, num_columns}, spread)};
    if (case_.bits != 16) {
      const mx::StreamContext on_cpu(mx::Device(mx::Device::cpu));
      const std::vector<mx::array> parts =
          mx::quantize(mx::astype(result.weight, mx::float32), case_.group_size, case_.bits);
      result.weight = parts[0];
      result.scales = as_stored(parts[1]);
      result.biases = as_stored(parts[2]);
      result.bits = case_.bits;
      result.group_size = case_.group_size;
      mx::eval(result.weight, *result.scales, *result.biases);
    }
    if (has_bias) result.bias = drawn({num_outputs}, 0.5F);
    return result;
  }

  mx::array norm(int num_values) { return drawn({num_values}, 1.0F); }

 private:
  mx::array drawn(const mx::Shape& shape, float spread) {
    const mx::StreamContext on_cpu(mx::Device(mx::Device::cpu));
    return as_stored(random_array(shape, ++seed_) * mx::array(spread));
  }

  // Rounded to halves on both sides.
  mx::array as_stored(const mx::array& x) {
    const mx::StreamContext on_cpu(mx::Device(mx::Device::cpu));
    mx::array stored = mx::astype(x, case_.dtype());
    if (where_ == Where::cpu) stored = mx::astype(stored, mx::float32);
    stored.eval();
    return stored;
  }

  const Case& case_;
  Where where_;
  std::uint32_t seed_ = 0;
};

struct Network {
  Linear embedding;
  mx::array final_norm;
  std::vector<DecoderLayer> layers;
  RopeSpec rope;
};

Network make_network(const Case& instance, Where where) {
  Weights weights(instance, where);
  const AttentionSpec& spec = instance.attention;
  const int hidden = instance.hidden_size;
  const int q_rows = spec.num_heads * spec.head_dim;
  const int kv_rows = spec.num_kv_heads * spec.head_dim;
  Network network{
      .embedding = weights.matrix(kVocab, hidden, /*has_bias=*/false),
      .final_norm = weights.norm(hidden),
      .layers = {},
      .rope = {.num_dims = spec.head_dim}
  };
  for (int i = 0; i < spec.head_dim / 2; ++i)
    network.rope.inv_freq.push_back(
        std::pow(100.0F, -2.0F * static_cast<float>(i) / static_cast<float>(spec.head_dim))
    );
  for (int layer = 0; layer < 2; ++layer) {
    DecoderLayer drawn{
        .attention_spec = spec,
        .mlp_spec =
            {.intermediate_size = instance.intermediate_size, .activation = instance.activation},
        .norm_eps = 1e-5F,
        .attention =
            {.q = weights.matrix(q_rows, hidden, spec.has_qkv_bias),
             .k = weights.matrix(kv_rows, hidden, spec.has_qkv_bias),
             .v = weights.matrix(kv_rows, hidden, spec.has_qkv_bias),
             .o = weights.matrix(hidden, q_rows, /*has_bias=*/false),
             .pre_norm = weights.norm(hidden)},
        .mlp =
            {.gate = weights.matrix(instance.intermediate_size, hidden, /*has_bias=*/false),
             .up = weights.matrix(instance.intermediate_size, hidden, /*has_bias=*/false),
             .down = weights.matrix(hidden, instance.intermediate_size, /*has_bias=*/false),
             .pre_norm = weights.norm(hidden)}
    };
    if (spec.has_qk_norm) {
      drawn.attention.q_norm = weights.norm(spec.head_dim);
      drawn.attention.k_norm = weights.norm(spec.head_dim);
    }
    if (instance.has_post_norms) {
      drawn.attention.post_norm = weights.norm(hidden);
      drawn.mlp.post_norm = weights.norm(hidden);
    }
    network.layers.push_back(std::move(drawn));
  }
  return network;
}

KvPages empty_pages(const Case& instance, mx::Dtype dtype, GpuForward* gpu) {
  const AttentionSpec& spec = instance.attention;
  const mx::Shape shape{kNumPages, kPageSize, spec.num_kv_heads, spec.head_dim};
  const mx::Shape scale_shape{kNumPages, kPageSize, spec.num_kv_heads, 1};
  const auto make = [gpu](const mx::Shape& of, mx::Dtype type) {
    if (gpu == nullptr) return mx::zeros(of, type);
    std::size_t num_bytes = mx::size_of(type);
    for (const int extent : of) num_bytes *= static_cast<std::size_t>(extent);
    return mx::array(gpu->allocate(num_bytes), of, type);
  };
  KvPages pages{
      .shape =
          {.page_size = kPageSize, .groups = {{.num_pages = kNumPages, .window = spec.window}}},
      .layers = {}
  };
  for (int layer = 0; layer < 2; ++layer) {
    const mx::Dtype stored = instance.is_int8_pool ? mx::int8 : dtype;
    KvLayer part{.keys = make(shape, stored), .values = make(shape, stored)};
    if (instance.is_int8_pool) {
      part.key_scales = make(scale_shape, mx::float32);
      part.value_scales = make(scale_shape, mx::float32);
    }
    pages.layers.push_back(std::move(part));
  }
  return pages;
}

struct Sequence {
  int num_rows;
  int context_length;
  int first_page;
};

BatchView view_of(const std::vector<Sequence>& sequences, const KvPages& pages) {
  std::vector<SequenceView> views;
  int num_rows = 0;
  for (const Sequence& sequence : sequences) {
    SequenceView view{
        .first_row = num_rows,
        .num_rows = sequence.num_rows,
        .context_length = sequence.context_length,
        .pages = {{}}
    };
    for (int page = 0; page < 12; ++page) view.pages[0].push_back(sequence.first_page + page);
    num_rows += sequence.num_rows;
    views.push_back(std::move(view));
  }
  return make_batch_view(std::move(views), pages.shape);
}

std::vector<float> reference_step(
    const Network& network,
    const std::vector<std::int32_t>& tokens,
    const BatchView& batch,
    KvPages& pages
) {
  const mx::StreamContext on_cpu(mx::Device(mx::Device::cpu));
  const mx::array ids(tokens.data(), mx::Shape{static_cast<int>(tokens.size())}, mx::int32);
  const RopeTables tables = rope_tables(batch_positions(batch), batch.long_rope_rows, network.rope);
  mx::array hidden = embedding(ids, network.embedding, mx::float32);
  for (std::size_t i = 0; i < network.layers.size(); ++i)
    hidden = decoder_layer(
        hidden, network.layers[i], {.batch = batch, .rope = &tables}, pages.layers[i]
    );
  const mx::array normed = rms_norm(hidden, network.final_norm, 1e-5F);
  return host_values(linear(normed, network.embedding));
}

std::vector<float> gpu_step(
    GpuForward& gpu, const std::vector<std::int32_t>& tokens, const BatchView& batch, KvPages& pages
) {
  const mx::StreamContext on_gpu(mx::Device(mx::Device::gpu));
  const mx::array ids(tokens.data(), mx::Shape{static_cast<int>(tokens.size())}, mx::int32);
  return host_values(gpu.logits(gpu.forward(ids, batch, pages)));
}

double relative_error(const std::vector<float>& actual, const std::vector<float>& expected) {
  double difference = 0.0;
  double size = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double d = double{actual[i]} - double{expected[i]};
    difference += d * d;
    size += double{expected[i]} * double{expected[i]};
  }
  return std::sqrt(difference / size);
}

class GpuForwardTest : public ::testing::TestWithParam<Case> {};

TEST_P(GpuForwardTest, MatchesThePlainComposition) {
  const Case& instance = GetParam();
  const Network reference = make_network(instance, Where::cpu);
  Network network = make_network(instance, Where::gpu);
  const mx::StreamContext on_gpu(mx::Device(mx::Device::gpu));
  const std::shared_ptr<GpuForward> gpu = make_gpu_forward(
      {.embedding = network.embedding,
       .output = {},
       .final_norm = network.final_norm,
       .layers = network.layers,
       .ropes = {network.rope},
       .norm_eps = 1e-5F,
       .dtype = instance.dtype()}
  );
  ASSERT_NE(gpu, nullptr);
  KvPages gpu_pages = empty_pages(instance, instance.dtype(), gpu.get());
  KvPages cpu_pages = empty_pages(instance, mx::float32, nullptr);

  // Prompts, a chunk beside decodes, many decodes, and decodes again through the same replay.
  const std::vector<std::vector<Sequence>> steps{
      {{70, 0, 0}, {9, 0, 12}, {1, 0, 24}},
      {{1, 70, 0}, {40, 9, 12}, {1, 1, 24}, {3, 0, 36}},
      {{1, 71, 0}, {1, 49, 12}, {1, 2, 24}},
      {{1, 72, 0}, {1, 50, 12}, {1, 3, 24}},
      {{1, 73, 0}}
  };
  std::uint32_t seed = 17;
  for (std::size_t step = 0; step < steps.size(); ++step) {
    std::vector<std::int32_t> tokens;
    for (const Sequence& sequence : steps[step]) {
      for (int row = 0; row < sequence.num_rows; ++row) {
        seed = seed * 1664525U + 1013904223U;
        tokens.push_back(static_cast<std::int32_t>((seed >> 8) % kVocab));
      }
    }
    const std::vector<float> expected =
        reference_step(reference, tokens, view_of(steps[step], cpu_pages), cpu_pages);
    const std::vector<float> actual =
        gpu_step(*gpu, tokens, view_of(steps[step], gpu_pages), gpu_pages);
    ASSERT_EQ(actual.size(), expected.size());
    const double error = relative_error(actual, expected);
    EXPECT_LT(error, instance.is_float16 && !instance.is_int8_pool ? 0.01 : 0.03)
        << "step " << step;
  }
}

AttentionSpec heads(int num_heads, int num_kv_heads, int head_dim) {
  return {
      .num_heads = num_heads,
      .num_kv_heads = num_kv_heads,
      .head_dim = head_dim,
      .scale = 1.0F / std::sqrt(static_cast<float>(head_dim))
  };
}

AttentionSpec with_features(AttentionSpec spec, int window, float soft_cap) {
  spec.window = window;
  spec.soft_cap = soft_cap;
  spec.has_qk_norm = true;
  return spec;
}

AttentionSpec with_bias(AttentionSpec spec) {
  spec.has_qkv_bias = true;
  return spec;
}

INSTANTIATE_TEST_SUITE_P(
    Models,
    GpuForwardTest,
    ::testing::Values(
        Case{.name = "llama_bf16", .attention = heads(8, 2, 128)},
        Case{.name = "smol_bf16", .attention = heads(9, 3, 64), .hidden_size = 576},
        Case{.name = "llama_q4", .attention = heads(8, 2, 128), .bits = 4},
        Case{
            .name = "llama_q4_groups_of_32",
            .attention = heads(4, 4, 64),
            .bits = 4,
            .group_size = 32
        },
        Case{.name = "llama_q8", .attention = heads(8, 2, 128), .bits = 8},
        Case{
            .name = "smol_q4_fp16",
            .attention = heads(9, 3, 64),
            .hidden_size = 576,
            .intermediate_size = 1536,
            .bits = 4,
            .group_size = 32,
            .is_float16 = true
        },
        Case{.name = "qwen2_bias", .attention = with_bias(heads(14, 2, 64)), .hidden_size = 896},
        Case{
            .name = "gemma",
            .attention = with_features(heads(4, 1, 256), 20, 0.0F),
            .activation = Activation::gelu_tanh,
            .has_post_norms = true
        },
        Case{.name = "soft_cap", .attention = with_features(heads(4, 2, 96), 0, 5.0F)},
        Case{.name = "int8_pool", .attention = heads(8, 2, 128), .is_int8_pool = true}
    ),
    [](const auto& instance) { return instance.param.name; }
);

}  // namespace
}  // namespace mlxs
