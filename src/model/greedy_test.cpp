// The default model's greedy continuations against Transformers', all prompts in one ragged batch.
// The file comes from MLX_SERVING_TEST_MODEL, else from the installed default model; without it the
// test fails.
#include <gtest/gtest.h>
#include <mlx/ops.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "kernels/batch_view.h"
#include "kernels/testing/arrays.h"
#include "model/checkpoint/checkpoint.h"
#include "model/families/families.h"
#include "model/model.h"
#include "model/model_files.h"

namespace mlxs {
namespace {

using testing::host_values;

constexpr int kPageSize = 16;
constexpr int kPagesPerSequence = 16;

struct Step {
  std::vector<std::int32_t> tokens;  // best, second best
  std::vector<float> logits;
};

struct Prompt {
  std::string text;
  std::vector<std::int32_t> tokens;
  std::vector<Step> steps;
};

struct Golden {
  float margin = 0.0F;
  std::vector<Prompt> prompts;
};

Golden read_golden() {
  std::ifstream file(
      std::filesystem::path(MLXS_GOLDEN_DIR) / "greedy" / "smollm2.json", std::ios::binary
  );
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const json::value root = parse_json(text);
  Golden golden{.margin = root.at("margin").to_number<float>(), .prompts = {}};
  for (const json::value& entry : root.at("prompts").as_array()) {
    Prompt prompt{
        .text = json::value_to<std::string>(entry.at("text")),
        .tokens = json::value_to<std::vector<std::int32_t>>(entry.at("prompt_tokens")),
        .steps = {}
    };
    for (const json::value& step : entry.at("steps").as_array()) {
      prompt.steps.push_back(
          {.tokens = json::value_to<std::vector<std::int32_t>>(step.at("tokens")),
           .logits = json::value_to<std::vector<float>>(step.at("logits"))}
      );
    }
    golden.prompts.push_back(std::move(prompt));
  }
  return golden;
}

std::optional<Model> load_default_model() {
  try {
    const char* path = std::getenv("MLX_SERVING_TEST_MODEL");
    const Checkpoint checkpoint =
        Checkpoint::open(path != nullptr ? std::filesystem::path(path) : resolve_model("", ""));
    return Model::load(
        checkpoint,
        make_model_spec(checkpoint.config(), checkpoint.path()),
        {.device = testing::test_device()}
    );
  } catch (const std::exception& error) {
    ADD_FAILURE(
    ) << error.what()
      << "\nrun `make setup`, or set MLX_SERVING_TEST_MODEL to the default model's .gguf file";
    return std::nullopt;
  }
}

// The greedy continuations of all prompts, step by step.
class GreedyBatch {
 public:
  GreedyBatch(const Model& model, const std::vector<Prompt>& prompts)
      : model_(model),
        pages_(model.make_kv_pages(
            {.num_pages = {kPagesPerSequence * static_cast<int>(prompts.size())},
             .page_size = kPageSize}
        )),
        lengths_(prompts.size(), 0) {
    for (const Prompt& prompt : prompts) next_.push_back(prompt.tokens);
  }

  // RETURNS: each sequence's best token.
  std::vector<std::int32_t> step() {
    std::vector<std::int32_t> tokens;
    std::vector<std::int32_t> last_rows;
    std::vector<SequenceView> sequences;
    for (std::size_t index = 0; index < next_.size(); ++index) {
      const auto num_rows = static_cast<int>(next_[index].size());
      SequenceView sequence{
          .first_row = static_cast<int>(tokens.size()),
          .num_rows = num_rows,
          .context_length = lengths_[index],
          .pages = {{}}
      };
      for (int page = 0; page < kPagesPerSequence; ++page) {
        sequence.pages[0].push_back(static_cast<int>(index) * kPagesPerSequence + page);
      }
      sequences.push_back(std::move(sequence));
      tokens.insert(tokens.end(), next_[index].begin(), next_[index].end());
      last_rows.push_back(static_cast<std::int32_t>(tokens.size()) - 1);
      lengths_[index] += num_rows;
    }
    const BatchView batch = make_batch_view(std::move(sequences), pages_.shape);
    const mx::array ids(tokens.data(), mx::Shape{static_cast<int>(tokens.size())}, mx::int32);
    const mx::array rows(
        last_rows.data(), mx::Shape{static_cast<int>(last_rows.size())}, mx::int32
    );
    const mx::array hidden = model_.forward(ids, batch_positions(batch), batch, pages_);
    const std::vector<float> best =
        host_values(mx::argmax(model_.logits(mx::take(hidden, rows, 0)), 1));
    std::vector<std::int32_t> result;
    for (std::size_t index = 0; index < best.size(); ++index) {
      result.push_back(static_cast<std::int32_t>(best[index]));
      next_[index] = {result.back()};
    }
    return result;
  }

 private:
  const Model& model_;
  KvPages pages_;
  std::vector<int> lengths_;
  std::vector<std::vector<std::int32_t>> next_;
};

TEST(Greedy, ContinuesTheDefaultModelsPromptsAsTheReferenceDoes) {
  const std::optional<Model> model = load_default_model();
  if (!model) return;
  const Golden golden = read_golden();
  ASSERT_EQ(golden.prompts.size(), 20U);
  GreedyBatch batch(*model, golden.prompts);
  std::vector<bool> is_compared(golden.prompts.size(), true);
  std::size_t num_equal = 0;
  for (std::size_t step = 0; step < 32; ++step) {
    const std::vector<std::int32_t> tokens = batch.step();
    for (std::size_t index = 0; index < tokens.size(); ++index) {
      const Step& expected = golden.prompts[index].steps.at(step);
      if (!is_compared[index]) continue;
      num_equal += tokens[index] == expected.tokens[0] ? 1 : 0;
      if (tokens[index] == expected.tokens[0]) continue;
      is_compared[index] = false;  // what follows a difference is not comparable
      EXPECT_LT(expected.logits[0] - expected.logits[1], golden.margin)
          << "prompt \"" << golden.prompts[index].text << "\", step " << step << ": got "
          << tokens[index] << ", expected " << expected.tokens[0];
    }
  }
  EXPECT_GT(num_equal, 20U * 32U / 2U);
}

}  // namespace
}  // namespace mlxs
