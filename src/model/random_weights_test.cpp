#include "model/random_weights.h"

#include <gtest/gtest.h>
#include <mlx/ops.h>

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "kernels/testing/arrays.h"
#include "mlx_serving/error.h"
#include "model/families/families.h"
#include "model/model.h"

namespace mlxs {
namespace {

json::object config(const std::string& extra) {
  const std::string text =
      R"({"model_type":"qwen2","hidden_size":64,"intermediate_size":128,)"
      R"("num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,)"
      R"("vocab_size":96,"max_position_embeddings":64,"rms_norm_eps":1e-6,)"
      R"("rope_theta":10000.0,"hidden_act":"silu","tie_word_embeddings":false)" +
      extra + "}";
  return parse_json(text).as_object();
}

Model make_model(const json::object& object) {
  const RandomWeights weights = read_random_weights(object, "config.json", mx::Device::cpu);
  return Model::random(make_model_spec(object), weights, {.device = mx::Device::cpu});
}

std::vector<float> first_logits(const json::object& object) {
  const Model model = make_model(object);
  KvPages pages = model.make_kv_pages({.num_pages = {2}, .page_size = 8});
  const BatchView batch = make_batch_view({{.num_rows = 3, .pages = {{1}}}}, pages.shape);
  const std::vector<std::int32_t> ids = {5, 7, 11};
  const mx::array tokens(ids.data(), {3}, mx::int32);
  return testing::host_values(
      model.logits(model.forward(tokens, batch_positions(batch), batch, pages))
  );
}

TEST(RandomWeights, GiveFiniteLogitsThatAreEqualEachTime) {
  for (const char* extra :
       {"",
        R"(,"torch_dtype":"float32")",
        R"(,"quantization":{"bits":4,"group_size":32})",
        R"(,"quantization":{"bits":8,"group_size":64})"}) {
    const auto logits = first_logits(config(extra));
    float lowest = 0.0F;
    float highest = 0.0F;
    for (const float logit : logits) {
      ASSERT_TRUE(std::isfinite(logit)) << extra;
      lowest = std::min(lowest, logit);
      highest = std::max(highest, logit);
    }
    EXPECT_GT(highest, lowest) << extra;
    EXPECT_EQ(logits, first_logits(config(extra))) << extra;
  }
}

TEST(RandomWeights, CountsTheBytesOfTheMatrices) {
  for (const char* extra : {"", R"(,"quantization":{"bits":4,"group_size":32})"}) {
    const json::object object = config(extra);
    const RandomWeights weights = read_random_weights(object, "config.json", mx::Device::cpu);
    // The rest is norms and the biases of q, k and v, float32.
    const std::int64_t rest = 4 * (5 * 64 + 2 * (64 + 32 + 32));
    EXPECT_EQ(
        matrix_bytes(make_model_spec(object), weights) + rest, make_model(object).weight_bytes()
    ) << extra;
  }
}

TEST(RandomWeights, RefusesOtherTypes) {
  EXPECT_THROW(
      (void
      )read_random_weights(config(R"(,"dtype":"float8_e4m3fn")"), "config.json", mx::Device::cpu),
      Error
  );
  EXPECT_THROW((void)make_model(config(R"(,"quantization":{"bits":4,"group_size":128})")), Error);
}

}  // namespace
}  // namespace mlxs
