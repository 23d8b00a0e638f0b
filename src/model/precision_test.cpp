// What the precisions cost on the default model, with the keys and values that an engine keeps in
// each: the same texts through exact products and through others. The file comes from
// MLX_SERVING_TEST_MODEL, else from the installed default model; without it the test fails.
#include <gtest/gtest.h>
#include <mlx/ops.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/testing/test_scale.h"
#include "kernels/kv_type.h"
#include "kernels/testing/arrays.h"
#include "model/checkpoint/checkpoint.h"
#include "model/families/families.h"
#include "model/model.h"
#include "model/model_files.h"

namespace mlxs {
namespace {

using testing::host_values;

constexpr int kPageSize = 16;
constexpr int kMaxPages = 64;

Model load_model(Precision precision) {
  const char* path = std::getenv("MLX_SERVING_TEST_MODEL");
  const Checkpoint checkpoint =
      Checkpoint::open(path != nullptr ? std::filesystem::path(path) : resolve_model("", ""));
  return Model::load(
      checkpoint, make_model_spec(checkpoint.config(), checkpoint.path()), {.precision = precision}
  );
}

using Texts = std::vector<std::vector<std::int32_t>>;

json::value read_golden(const std::string& name) {
  std::ifstream file(std::filesystem::path(MLXS_GOLDEN_DIR) / name, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return parse_json(text);
}

// The golden prompts and the reference's greedy continuations: every token is a likely one.
Texts greedy_texts() {
  Texts texts;
  const json::value golden = read_golden("greedy/smollm2.json");
  for (const json::value& prompt : golden.at("prompts").as_array()) {
    auto tokens = json::value_to<std::vector<std::int32_t>>(prompt.at("prompt_tokens"));
    for (const json::value& step : prompt.at("steps").as_array())
      tokens.push_back(step.at("tokens").at(0).to_number<std::int32_t>());
    texts.push_back(std::move(tokens));
  }
  return texts;
}

// 8,192 tokens at full scale.
Texts sampled_texts() {
  auto texts = json::value_to<Texts>(read_golden("accuracy/smollm2.json").at("texts"));
  texts.resize(testing::scaled_count(texts.size()));
  return texts;
}

std::vector<float> logits_of(
    const Model& model, KvType kv_type, const std::vector<std::int32_t>& tokens
) {
  KvPages pages =
      model.make_kv_pages({.num_pages = {kMaxPages}, .page_size = kPageSize, .type = kv_type});
  SequenceView sequence{.num_rows = static_cast<int>(tokens.size())};
  std::vector<std::int32_t>& table = sequence.pages.emplace_back();
  for (int page = 0; page < kMaxPages; ++page) table.push_back(page);
  const BatchView batch = make_batch_view({sequence}, pages.shape);
  const mx::array ids(tokens.data(), mx::Shape{static_cast<int>(tokens.size())}, mx::int32);
  return host_values(model.logits(model.forward(ids, batch_positions(batch), batch, pages)));
}

double log_of_sum(const float* logits, std::size_t vocab) {
  const double largest = *std::max_element(logits, logits + vocab);
  double sum = 0.0;
  for (std::size_t i = 0; i < vocab; ++i) sum += std::exp(logits[i] - largest);
  return largest + std::log(sum);
}

struct Difference {
  double log_probability = 0.0;  // mean, of the true next token, absolute
  double divergence = 0.0;       // mean, nats
  double exact_loss = 0.0;       // mean, nats a token
  double fast_loss = 0.0;
  double largest_margin = 0.0;  // of exact's best token where fast's is another one
  std::size_t num_tokens = 0;
};

void compare_row(
    const float* exact, const float* fast, std::size_t vocab, std::int32_t next, Difference& sum
) {
  const double exact_total = log_of_sum(exact, vocab);
  const double fast_total = log_of_sum(fast, vocab);
  const double exact_loss = exact_total - exact[next];
  const double fast_loss = fast_total - fast[next];
  sum.exact_loss += exact_loss;
  sum.fast_loss += fast_loss;
  sum.log_probability += std::abs(exact_loss - fast_loss);
  for (std::size_t i = 0; i < vocab; ++i) {
    const double log_exact = exact[i] - exact_total;
    sum.divergence += std::exp(log_exact) * (log_exact - (fast[i] - fast_total));
  }
  const auto best = std::max_element(exact, exact + vocab) - exact;
  const auto fast_best = std::max_element(fast, fast + vocab) - fast;
  if (best != fast_best)
    sum.largest_margin = std::max(sum.largest_margin, double{exact[best]} - exact[fast_best]);
  ++sum.num_tokens;
}

// Prints what it found, for the record.
Difference compare(Precision precision, const Texts& texts, const std::string& name) {
  const Model exact = load_model(Precision::exact);
  const Model other = load_model(precision);
  const auto vocab = static_cast<std::size_t>(exact.spec().vocab_size);
  Difference sum;
  for (const std::vector<std::int32_t>& tokens : texts) {
    const std::vector<float> exact_logits = logits_of(exact, KvType::float32, tokens);
    const std::vector<float> other_logits = logits_of(other, KvType::float16, tokens);
    for (std::size_t row = 0; row + 1 < tokens.size(); ++row) {
      const std::size_t at = row * vocab;
      compare_row(exact_logits.data() + at, other_logits.data() + at, vocab, tokens[row + 1], sum);
    }
  }
  const auto num_tokens = static_cast<double>(sum.num_tokens);
  sum.log_probability /= num_tokens;
  sum.divergence /= num_tokens;
  sum.exact_loss /= num_tokens;
  sum.fast_loss /= num_tokens;
  std::cout << name << ": tokens " << sum.num_tokens << ", mean difference of the log-probability "
            << sum.log_probability << ", mean divergence " << sum.divergence << ", perplexity "
            << std::exp(sum.exact_loss) << " and " << std::exp(sum.fast_loss)
            << ", largest margin lost " << sum.largest_margin << '\n';
  return sum;
}

double perplexity_change(const Difference& difference) {
  return std::abs(std::exp(difference.fast_loss - difference.exact_loss) - 1.0);
}

// The bar of a default: 0.02, 0.01, 0.005 and 0.25.
TEST(Precision, BalancedIsFarWithinTheBarOfTheDefault) {
  const Difference sampled = compare(Precision::balanced, sampled_texts(), "balanced, sampled");
  EXPECT_GE(sampled.num_tokens, 511U);
  EXPECT_LT(sampled.log_probability, 0.002);
  EXPECT_LT(sampled.divergence, 1e-4);
  EXPECT_LT(perplexity_change(sampled), 5e-4);
  const Difference greedy = compare(Precision::balanced, greedy_texts(), "balanced, greedy");
  EXPECT_GT(greedy.num_tokens, 700U);
  EXPECT_LT(greedy.log_probability, 0.002);
  EXPECT_LT(greedy.largest_margin, 0.02);
}

// 8-bit activations cost about 0.05 in the log-probability of a token, so fast is not the default.
TEST(Precision, FastKeepsTheDistributionAndThePerplexity) {
  const Difference sampled = compare(Precision::fast, sampled_texts(), "fast, sampled");
  EXPECT_LT(sampled.log_probability, 0.08);
  EXPECT_LT(sampled.divergence, 0.01);
  const Difference greedy = compare(Precision::fast, greedy_texts(), "fast, greedy");
  EXPECT_LT(greedy.log_probability, 0.08);
  EXPECT_LT(greedy.divergence, 0.01);
  EXPECT_LT(perplexity_change(greedy), 0.005);
}

}  // namespace
}  // namespace mlxs
