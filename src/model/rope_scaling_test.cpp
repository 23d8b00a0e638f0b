// Frequencies of configurations of real size against Transformers' (tests/golden/models/rope.json),
// and our own type.
#include "model/rope_scaling.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "kernels/layer_spec.h"
#include "mlx_serving/error.h"
#include "model/families/families.h"
#include "model/model_config.h"
#include "model/model_spec.h"

namespace mlxs {
namespace {

json::value read_golden(const std::string& name) {
  std::ifstream file(std::string(MLXS_GOLDEN_DIR) + "/models/" + name);
  std::ostringstream text;
  text << file.rdbuf();
  return parse_json(text.str());
}

void expect_frequencies(const std::vector<float>& actual, const json::array& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double value = expected[i].to_number<double>();
    EXPECT_NEAR(actual[i] / value, 1.0, 1e-6) << "frequency " << i;
  }
}

void expect_rope(const RopeSpec& rope, const json::object& expected) {
  EXPECT_EQ(rope.num_dims, static_cast<int>(2 * expected.at("inv_freq").as_array().size()));
  expect_frequencies(rope.inv_freq, expected.at("inv_freq").as_array());
  EXPECT_NEAR(rope.attention_factor, expected.at("attention_factor").to_number<double>(), 1e-6);
  if (!expected.contains("inv_freq_long")) {
    EXPECT_TRUE(rope.inv_freq_long.empty());
    EXPECT_EQ(rope.original_context, 0);
    return;
  }
  expect_frequencies(rope.inv_freq_long, expected.at("inv_freq_long").as_array());
  EXPECT_EQ(rope.original_context, expected.at("original_context").to_number<int>());
}

TEST(RopeScaling, EqualsTransformers) {
  const json::value golden = read_golden("rope.json");
  const json::array& cases = golden.at("cases").as_array();
  ASSERT_GE(cases.size(), 13U);
  for (const json::value& entry : cases) {
    SCOPED_TRACE(std::string(entry.at("name").as_string()));
    const ModelSpec spec = make_model_spec(entry.at("config").as_object());
    for (const auto& [layer, expected] : entry.at("layers").as_object()) {
      SCOPED_TRACE("layer " + std::string(layer));
      const LayerSpec& described = spec.layers.at(std::stoul(std::string(layer)));
      expect_rope(
          spec.ropes.at(static_cast<std::size_t>(described.attention.rope)), expected.as_object()
      );
    }
  }
}

RopeSpec rope_of(std::string_view parameters, const RopeContext& context) {
  const json::value value = parse_json(parameters);
  return make_rope(ConfigReader(value.as_object(), "config.json: rope_scaling"), context);
}

int reach_of(std::string_view parameters, const RopeContext& context) {
  const json::value value = parse_json(parameters);
  return scaled_context_length(
      ConfigReader(value.as_object(), "config.json: rope_scaling"), context
  );
}

RopeContext small_context() {
  RopeContext context;
  context.where = "config.json";
  context.head_dim = 8;
  context.context_length = 1024;
  return context;
}

TEST(RopeScaling, FactorsOfAGgufDivideEachFrequency) {
  const RopeSpec plain = make_rope(std::nullopt, small_context());
  const RopeSpec rope =
      rope_of(R"({"rope_type": "llama3_factors", "factors": [1, 2, 4.0, 8]})", small_context());
  ASSERT_EQ(rope.inv_freq.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_FLOAT_EQ(rope.inv_freq[i], plain.inv_freq[i] / static_cast<float>(1 << i));
  }
}

TEST(RopeScaling, OwnThetaAndPartGoBeforeTheContexts) {
  RopeContext context = small_context();
  context.theta = 500.0;
  context.partial_rotary_factor = 0.5;
  EXPECT_EQ(make_rope(std::nullopt, context).num_dims, 4);
  const RopeSpec rope = rope_of(R"({"rope_theta": 16.0, "partial_rotary_factor": 1.0})", context);
  EXPECT_EQ(rope.num_dims, 8);
  EXPECT_FLOAT_EQ(rope.inv_freq[2], 0.25F);
}

TEST(RopeScaling, YarnReachesFactorTimesTheOriginalContext) {
  EXPECT_EQ(
      reach_of(
          R"({"type": "yarn", "factor": 4, "original_max_position_embeddings": 1000})",
          small_context()
      ),
      4000
  );
  EXPECT_EQ(
      reach_of(
          R"({"type": "yarn", "factor": 4, "original_max_position_embeddings": 100})",
          small_context()
      ),
      1024
  );
  EXPECT_EQ(reach_of(R"({"type": "linear", "factor": 4})", small_context()), 1024);
  EXPECT_EQ(scaled_context_length(std::nullopt, small_context()), 1024);
}

struct BadRope {
  const char* parameters;
  ErrorCode code;
  const char* message;
};

class BadRopeTest : public testing::TestWithParam<BadRope> {};

TEST_P(BadRopeTest, IsRefusedByName) {
  try {
    static_cast<void>(rope_of(GetParam().parameters, small_context()));
    FAIL() << "taken: " << GetParam().parameters;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), GetParam().code) << error.what();
    EXPECT_NE(std::string(error.what()).find(GetParam().message), std::string::npos)
        << error.what();
  }
}

constexpr ErrorCode kInvalid = ErrorCode::invalid_model;
constexpr ErrorCode kUnsupported = ErrorCode::unsupported_model;

INSTANTIATE_TEST_SUITE_P(
    RopeScaling,
    BadRopeTest,
    testing::Values(
        BadRope{
            R"({"rope_type": "dynamic", "factor": 2})",
            kUnsupported,
            "rope_scaling: rope_type \"dynamic\""
        },
        BadRope{
            R"({"type": "mrope", "mrope_section": [1]})",
            kUnsupported,
            "\"mrope\" is not implemented"
        },
        BadRope{R"({"rope_type": 3})", kInvalid, "rope_type must be a string, got 3"},
        BadRope{R"({"type": "linear"})", kInvalid, "factor is missing"},
        BadRope{R"({"type": "linear", "factor": 0})", kInvalid, "factor must be a number"},
        BadRope{R"({"type": "linear", "factor": -2.5})", kInvalid, "factor must be a number"},
        BadRope{R"({"type": "linear", "factor": "2"})", kInvalid, "got \"2\""},
        BadRope{R"({"rope_theta": 1})", kInvalid, "rope_theta must be a number"},
        BadRope{R"({"rope_theta": -5})", kInvalid, "rope_theta must be a number"},
        BadRope{R"({"partial_rotary_factor": 0.9})", kInvalid, "needed is an even number"},
        BadRope{R"({"partial_rotary_factor": 0.1})", kInvalid, "needed is an even number"},
        BadRope{
            R"({"partial_rotary_factor": 1.5})", kInvalid, "partial_rotary_factor must be a number"
        },
        BadRope{
            R"({"type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4})",
            kInvalid,
            "high_freq_factor must be above low_freq_factor"
        },
        BadRope{
            R"({"type": "llama3", "factor": 8, "high_freq_factor": 4})",
            kInvalid,
            "low_freq_factor is missing"
        },
        BadRope{
            R"({"type": "yarn", "factor": 2, "original_max_position_embeddings": 0})",
            kInvalid,
            "original_max_position_embeddings must be an integer"
        },
        BadRope{
            R"({"type": "yarn", "factor": 2, "truncate": 1})",
            kInvalid,
            "truncate must be true or false"
        },
        BadRope{
            R"({"type": "yarn", "factor": 2, "beta_fast": -1})",
            kInvalid,
            "beta_fast must be a number"
        },
        BadRope{
            R"({"type": "longrope", "short_factor": [1, 1, 1], "long_factor": [1, 1, 1, 1]})",
            kInvalid,
            "short_factor must hold one factor for each of 4 frequencies, got 3"
        },
        BadRope{
            R"({"type": "longrope", "short_factor": [1, 1, 1, 1]})",
            kInvalid,
            "long_factor is missing"
        },
        BadRope{
            R"({"type": "longrope", "short_factor": [1, 1, 0, 1], "long_factor": [1, 1, 1, 1]})",
            kInvalid,
            "element 2 is 0"
        },
        BadRope{
            R"({"type": "longrope", "short_factor": [1, 1, 1, 1], "long_factor": [1, 1, 1, 1],
                    "original_max_position_embeddings": 1})",
            kInvalid,
            "must be above 1"
        },
        BadRope{
            R"({"rope_type": "llama3_factors", "factors": {}})",
            kInvalid,
            "must be an array of numbers"
        }
    )
);

}  // namespace
}  // namespace mlxs
