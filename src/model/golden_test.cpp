// ForEachModel: every checkpoint of tests/golden/models loads and gives the reference's logits,
// whole, token by token, in chunks and in a ragged batch.
#include <gtest/gtest.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "kernels/batch_view.h"
#include "kernels/testing/arrays.h"
#include "model/checkpoint/checkpoint.h"
#include "model/families/families.h"
#include "model/model.h"
#include "model/model_spec.h"

namespace mlxs {
namespace {

namespace fs = std::filesystem;
using testing::host_values;

constexpr int kPageSize = 16;

fs::path golden_folder() { return fs::path(MLXS_GOLDEN_DIR) / "models"; }

struct GoldenRun {
  std::vector<std::int32_t> tokens;
  int total_length = 0;
  std::string logits;
};

struct Case {
  std::string name;
  std::string family;
  std::string model;
  int vocab_size = 0;
  float tolerance = 0.0F;
  std::vector<GoldenRun> runs;

  friend void PrintTo(const Case& golden, std::ostream* out) { *out << golden.name; }
};

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Case read_case(const json::object& entry) {
  Case result{
      .name = json::value_to<std::string>(entry.at("name")),
      .family = json::value_to<std::string>(entry.at("family")),
      .model = json::value_to<std::string>(entry.at("model")),
      .vocab_size = entry.at("vocab_size").to_number<int>(),
      .tolerance = entry.at("tolerance").to_number<float>(),
      .runs = {}
  };
  for (const json::value& run : entry.at("runs").as_array()) {
    result.runs.push_back(
        {.tokens = json::value_to<std::vector<std::int32_t>>(run.at("tokens")),
         .total_length = run.at("total_length").to_number<int>(),
         .logits = json::value_to<std::string>(run.at("logits"))}
    );
  }
  return result;
}

std::vector<Case> read_cases() {
  const json::value index = parse_json(text_of(golden_folder() / "index.json"));
  std::vector<Case> cases;
  for (const json::value& entry : index.at("cases").as_array())
    cases.push_back(read_case(entry.as_object()));
  return cases;
}

std::vector<float> read_logits(const GoldenRun& run, int vocab_size) {
  const std::string bytes = text_of(golden_folder() / run.logits);
  std::vector<float> values(run.tokens.size() * static_cast<std::size_t>(vocab_size));
  EXPECT_EQ(bytes.size(), values.size() * sizeof(float)) << run.logits;
  std::memcpy(values.data(), bytes.data(), std::min(bytes.size(), values.size() * sizeof(float)));
  return values;
}

Model load_golden(const Case& golden, LayerPath layers = LayerPath::fused) {
  const Checkpoint checkpoint = Checkpoint::open(golden_folder() / golden.model);
  const auto has_tensor = [&checkpoint](std::string_view name) {
    return checkpoint.find(name) != nullptr;
  };
  ModelSpec spec = make_model_spec(checkpoint.config(), checkpoint.path(), has_tensor);
  EXPECT_EQ(spec.family, golden.family);
  EXPECT_EQ(spec.vocab_size, golden.vocab_size);
  return Model::load(
      checkpoint, std::move(spec), {.device = testing::test_device(), .layers = layers}
  );
}

KvPages make_pages(const Model& model) {
  const std::vector<int> num_pages(model.layer_groups().size(), 16);
  return model.make_kv_pages({.num_pages = num_pages, .page_size = kPageSize});
}

// A sequence of a test: which tokens of which run go into a step.
struct Part {
  const GoldenRun* run = nullptr;
  int begin = 0;
  int end = 0;
  std::vector<std::int32_t> pages;
};

mx::array run_step(const Model& model, const std::vector<Part>& parts, KvPages& pages) {
  std::vector<std::int32_t> tokens;
  std::vector<SequenceView> sequences;
  for (const Part& part : parts) {
    sequences.push_back(
        {.first_row = static_cast<int>(tokens.size()),
         .num_rows = part.end - part.begin,
         .context_length = part.begin,
         // Every group has as many pages: the same ids serve all of them.
         .pages = {pages.shape.groups.size(), part.pages},
         .use_long_rope = model.uses_long_rope(part.run->total_length)}
    );
    tokens.insert(
        tokens.end(), part.run->tokens.begin() + part.begin, part.run->tokens.begin() + part.end
    );
  }
  const BatchView batch = make_batch_view(std::move(sequences), pages.shape);
  const mx::array ids(tokens.data(), mx::Shape{static_cast<int>(tokens.size())}, mx::int32);
  return model.logits(model.forward(ids, batch_positions(batch), batch, pages));
}

// Compares the rows of `actual` from first_row on with those of `part`.
void expect_part(
    const std::vector<float>& actual, int first_row, const Part& part, const Case& golden
) {
  const std::vector<float> expected = read_logits(*part.run, golden.vocab_size);
  const auto vocab = static_cast<std::size_t>(golden.vocab_size);
  const std::size_t num_values = static_cast<std::size_t>(part.end - part.begin) * vocab;
  const std::size_t from = static_cast<std::size_t>(first_row) * vocab;
  const std::size_t expected_from = static_cast<std::size_t>(part.begin) * vocab;
  ASSERT_LE(from + num_values, actual.size());
  for (std::size_t i = 0; i < num_values; ++i) {
    ASSERT_NEAR(actual[from + i], expected[expected_from + i], golden.tolerance)
        << "token " << static_cast<std::size_t>(part.begin) + i / vocab << ", logit " << i % vocab;
  }
}

// Even pages for one sequence, odd ones for another: neither run of pages is contiguous.
std::vector<std::int32_t> pages_of(int sequence) {
  std::vector<std::int32_t> pages;
  for (std::int32_t page = 0; page < 8; ++page) pages.push_back(14 - 2 * page + sequence);
  return pages;
}

void expect_equal_in_chunks(const Case& golden, int chunk, LayerPath layers = LayerPath::fused) {
  const Model model = load_golden(golden, layers);
  for (const GoldenRun& run : golden.runs) {
    const int num_tokens = static_cast<int>(run.tokens.size());
    ASSERT_LE(num_tokens, 8 * kPageSize);
    KvPages pages = make_pages(model);
    for (int begin = 0; begin < num_tokens; begin += chunk) {
      const Part part{
          .run = &run,
          .begin = begin,
          .end = std::min(begin + chunk, num_tokens),
          .pages = pages_of(0)
      };
      expect_part(host_values(run_step(model, {part}, pages)), 0, part, golden);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

class ForEachModel : public ::testing::TestWithParam<Case> {};

TEST_P(ForEachModel, PrefillGivesTheReferencesLogits) {
  expect_equal_in_chunks(GetParam(), 1 << 20);
}

TEST_P(ForEachModel, PlainOperationsGiveTheReferencesLogits) {
  expect_equal_in_chunks(GetParam(), 5, LayerPath::plain);
}

TEST_P(ForEachModel, DecodeTokenByTokenGivesTheReferencesLogits) {
  expect_equal_in_chunks(GetParam(), 1);
}

TEST_P(ForEachModel, PrefillInChunksGivesTheReferencesLogits) {
  expect_equal_in_chunks(GetParam(), 7);
}

TEST_P(ForEachModel, RaggedBatchGivesTheReferencesLogits) {
  const Case& golden = GetParam();
  const Model model = load_golden(golden);
  const GoldenRun& first = golden.runs.front();
  const GoldenRun& second = golden.runs.back();
  const int first_length = static_cast<int>(first.tokens.size());
  const int second_length = static_cast<int>(second.tokens.size());
  KvPages pages = make_pages(model);
  // The first sequence is ahead: it prefills alone, goes on beside the second one's prompt, then
  // both decode.
  const Part alone{.run = &first, .begin = 0, .end = 5, .pages = pages_of(0)};
  expect_part(host_values(run_step(model, {alone}, pages)), 0, alone, golden);
  const Part goes_on{.run = &first, .begin = 5, .end = first_length - 1, .pages = pages_of(0)};
  const Part joins{.run = &second, .begin = 0, .end = second_length - 1, .pages = pages_of(1)};
  const std::vector<float> mixed = host_values(run_step(model, {goes_on, joins}, pages));
  expect_part(mixed, 0, goes_on, golden);
  expect_part(mixed, first_length - 6, joins, golden);
  const Part last{
      .run = &first, .begin = first_length - 1, .end = first_length, .pages = pages_of(0)
  };
  const Part other{
      .run = &second, .begin = second_length - 1, .end = second_length, .pages = pages_of(1)
  };
  const std::vector<float> decoded = host_values(run_step(model, {other, last}, pages));
  expect_part(decoded, 0, other, golden);
  expect_part(decoded, 1, last, golden);
}

// How a prompt is cut and what else is in the batch changes no bit of a row's logits: prefix
// caches, chunks and preemption rely on it.
TEST_P(ForEachModel, ARowHasTheSameBitsInEveryBatch) {
  const Case& golden = GetParam();
  const Model model = load_golden(golden);
  const GoldenRun& run = golden.runs.front();
  const int length = static_cast<int>(run.tokens.size());
  KvPages whole_pages = make_pages(model);
  const Part whole{.run = &run, .begin = 0, .end = length, .pages = pages_of(0)};
  const std::vector<float> expected = host_values(run_step(model, {whole}, whole_pages));
  KvPages pages = make_pages(model);
  std::vector<float> actual;
  for (int begin = 0; begin < length; ++begin) {
    const Part other{.run = &run, .begin = begin / 2, .end = begin / 2 + 1, .pages = pages_of(1)};
    const Part row{.run = &run, .begin = begin, .end = begin + 1, .pages = pages_of(0)};
    const auto logits = host_values(run_step(model, {other, row}, pages));
    actual.insert(
        actual.end(), logits.begin() + golden.vocab_size, logits.begin() + 2 * golden.vocab_size
    );
  }
  EXPECT_EQ(actual, expected);
}

INSTANTIATE_TEST_SUITE_P(
    Golden,
    ForEachModel,
    ::testing::ValuesIn(read_cases()),
    [](const auto& instance) { return instance.param.name; }
);

}  // namespace
}  // namespace mlxs
