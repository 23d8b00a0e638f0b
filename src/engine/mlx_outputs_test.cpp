// What the engine tells beside tokens, on the two-layer golden models: log probabilities against a
// plain forward pass, embeddings against Transformers'; and that they, and every sampler in the
// same batch, change no token of a plain request.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "engine/engine_parts.h"
#include "engine/mlx_golden_model.h"
#include "engine/mlx_runner.h"
#include "engine/text_model.h"
#include "kernels/batch_view.h"
#include "kernels/testing/arrays.h"
#include "mlx_serving/engine.h"
#include "model/model.h"

namespace mlxs {
namespace {

using testing::host_values;
using testing::load_golden_model;

constexpr int kPageSize = 4;
constexpr int kNumPages = 256;
using Ids = std::vector<std::int32_t>;

std::unique_ptr<Engine> open_golden(const std::string& name, int in_flight) {
  const Model model = load_golden_model(name);
  EngineParts parts;
  const int vocab_size = model.spec().vocab_size;
  parts.info = {.name = name, .vocab_size = vocab_size, .context_length = 256};
  parts.text = std::make_shared<const TextModel>(make_placeholder_text_model(vocab_size));
  parts.scheduler.max_sequences = 8;
  parts.scheduler.step_tokens = 16;
  parts.scheduler.cache.page_size = kPageSize;
  const std::size_t num_groups = model.layer_groups().size();
  for (const LayerGroup& group : model.layer_groups())
    parts.scheduler.cache.groups.push_back({.num_pages = kNumPages, .window = group.window});
  parts.ring.capacity = in_flight;
  parts.make_runner = [name, num_groups]() -> std::unique_ptr<Runner> {
    Model own = load_golden_model(name);
    KvPages pages = own.make_kv_pages(
        {.num_pages = std::vector<int>(num_groups, kNumPages), .page_size = kPageSize}
    );
    return std::make_unique<MlxRunner>(std::move(own), std::move(pages));
  };
  return std::make_unique<Engine>(std::move(parts));
}

// Everything that a request is told, in one event.
Event read_whole(Generation& generation) {
  Event whole;
  while (std::optional<Event> event = generation.next()) {
    for (const std::int32_t id : event->token_ids) whole.token_ids.push_back(id);
    for (TokenLogprobs& told : event->logprobs) whole.logprobs.push_back(std::move(told));
    if (!event->prompt_ids.empty()) whole.prompt_ids = event->prompt_ids;
    if (!event->prompt_logprobs.empty()) whole.prompt_logprobs = event->prompt_logprobs;
    if (!event->embedding.empty()) whole.embedding = event->embedding;
    if (event->finish) whole.finish = event->finish;
  }
  return whole;
}

Ids some_prompt(int size, int vocab_size, int seed) {
  Ids ids;
  for (int i = 0; i < size; ++i) ids.push_back((i * 37 + seed * 101 + 5) % vocab_size);
  return ids;
}

// RETURNS: for each row, the log-softmax of a plain forward pass in double precision.
std::vector<std::vector<double>> forward_logprobs(const std::string& name, const Ids& ids) {
  const Model model = load_golden_model(name);
  const int num_pages = (static_cast<int>(ids.size()) + kPageSize - 1) / kPageSize;
  const std::size_t num_groups = model.layer_groups().size();
  KvPages pages = model.make_kv_pages(
      {.num_pages = std::vector<int>(num_groups, num_pages), .page_size = kPageSize}
  );
  std::vector<std::int32_t> table;
  for (std::int32_t page = 0; page < num_pages; ++page) table.push_back(page);
  SequenceView view{.first_row = 0, .num_rows = static_cast<int>(ids.size()), .context_length = 0};
  view.pages.assign(num_groups, table);
  const BatchView batch = make_batch_view({view}, pages.shape);
  const mx::array tokens(ids.data(), mx::Shape{static_cast<int>(ids.size())}, mx::int32);
  const auto logits =
      host_values(model.logits(model.forward(tokens, batch_positions(batch), batch, pages)));
  const std::size_t vocab_size = logits.size() / ids.size();
  std::vector<std::vector<double>> result;
  for (std::size_t row = 0; row < ids.size(); ++row) {
    std::vector<double> values(
        logits.begin() + static_cast<std::ptrdiff_t>(row * vocab_size),
        logits.begin() + static_cast<std::ptrdiff_t>((row + 1) * vocab_size)
    );
    const double best = *std::ranges::max_element(values);
    double total = 0.0;
    for (const double value : values) total += std::exp(value - best);
    for (double& value : values) value -= best + std::log(total);
    result.push_back(std::move(values));
  }
  return result;
}

void expect_told(
    const TokenLogprobs& told, const std::vector<double>& expected, std::size_t num_top
) {
  const auto id = static_cast<std::size_t>(told.id);
  EXPECT_NEAR(double{told.logprob}, expected[id], 1e-4);
  const auto rank = std::ranges::count_if(expected, [&](double v) { return v >= expected[id]; });
  EXPECT_EQ(told.rank, rank);
  ASSERT_EQ(told.top.size(), num_top);
  std::vector<double> sorted = expected;
  std::ranges::sort(sorted, std::greater<>());
  for (std::size_t i = 0; i < num_top; ++i) {
    EXPECT_NEAR(double{told.top[i].logprob}, sorted[i], 1e-4);
    EXPECT_NEAR(expected[static_cast<std::size_t>(told.top[i].id)], sorted[i], 1e-4);
  }
}

TEST(MlxOutputs, LogprobsAreTheModelsWhateverTheSampler) {
  const std::string name = "qwen3";
  for (const int in_flight : {1, 2}) {
    const auto engine = open_golden(name, in_flight);
    Request request;
    request.prompt = some_prompt(23, engine->model().vocab_size, 1);  // more than one step
    request.stop = {.max_tokens = 6, .ignore_eos = true};
    request.returns_prompt = true;
    request.sampling = {
        .temperature = 1.5F,
        .top_k = 30,
        .typical_p = 0.9F,
        .repetition_penalty = 1.3F,
        .seed = 7,
        .logprobs = {.num_top = 3, .prompt_num_top = 2}
    };
    for (Generation& generation : engine->submit(request, 2)) {
      const Event whole = read_whole(generation);
      ASSERT_EQ(whole.finish->reason, FinishReason::length);
      EXPECT_EQ(whole.prompt_ids, std::get<Ids>(request.prompt));
      Ids all = whole.prompt_ids;
      all.insert(all.end(), whole.token_ids.begin(), whole.token_ids.end());
      const auto expected = forward_logprobs(name, all);
      ASSERT_EQ(whole.prompt_logprobs.size(), 22U);
      for (std::size_t i = 0; i < 22; ++i) {
        EXPECT_EQ(whole.prompt_logprobs[i].id, all[i + 1]);
        expect_told(whole.prompt_logprobs[i], expected[i], 2);
      }
      ASSERT_EQ(whole.logprobs.size(), 6U);
      for (std::size_t i = 0; i < 6; ++i) {
        EXPECT_EQ(whole.logprobs[i].id, whole.token_ids[i]);
        expect_told(whole.logprobs[i], expected[22 + i], 3);
      }
    }
  }
}

TEST(MlxOutputs, LogprobsOfTheDrawAreOfWhatWasLeft) {
  const auto engine = open_golden("llama", 1);
  Request request;
  request.prompt = some_prompt(9, engine->model().vocab_size, 2);
  request.stop = {.max_tokens = 5, .ignore_eos = true};
  request.sampling = {.top_k = 4, .seed = 3, .logprobs = {.num_top = 10, .of = LogprobsOf::draw}};
  Generation generation = engine->submit(request);
  const Event whole = read_whole(generation);
  ASSERT_EQ(whole.logprobs.size(), 5U);
  for (const TokenLogprobs& told : whole.logprobs) {
    ASSERT_EQ(told.top.size(), 4U);
    double total = 0.0;
    for (const TokenLogprob& other : told.top) total += std::exp(double{other.logprob});
    EXPECT_NEAR(total, 1.0, 1e-5);
  }
}

TEST(MlxOutputs, NeighboursWithEveryFeatureChangeNoToken) {
  for (const int in_flight : {1, 2}) {
    const auto engine = open_golden("llama", in_flight);
    const int vocab_size = engine->model().vocab_size;
    const auto request_of = [&](SamplingParams sampling, int seed) {
      Request request;
      request.prompt = some_prompt(10 + seed, vocab_size, seed);
      request.stop = {.max_tokens = 16, .ignore_eos = true};
      request.sampling = std::move(sampling);
      request.sampling.seed = static_cast<std::uint64_t>(seed);
      return request;
    };
    std::vector<Request> requests;
    requests.push_back(request_of({}, 1));
    requests.push_back(request_of({.temperature = 0.0F}, 2));
    requests.push_back(request_of({.temperature = 1.2F, .mirostat = {.version = 2}}, 3));
    requests.push_back(
        request_of({.dry = {.multiplier = 2.0F, .allowed_length = 1, .sequence_breakers = {}}}, 4)
    );
    requests.push_back(
        request_of({.temperature = 0.9F, .typical_p = 0.8F, .logprobs = {.num_top = 2}}, 5)
    );
    requests.push_back(request_of({.repetition_penalty = 1.5F, .penalty_last_tokens = 8}, 6));
    requests.push_back(request_of({.allowed_token_ids = {1, 2, 3, 4}}, 7));
    requests.push_back(request_of({}, 8));
    requests.back().pooling = Pooling::mean;
    std::vector<Event> alone;
    for (const Request& request : requests) {
      Generation generation = engine->submit(request);
      alone.push_back(read_whole(generation));
    }
    std::vector<Generation> together;
    for (const Request& request : requests) together.push_back(engine->submit(request));
    for (std::size_t i = 0; i < together.size(); ++i) {
      const Event whole = read_whole(together[i]);
      EXPECT_EQ(whole.token_ids, alone[i].token_ids) << i;
      EXPECT_EQ(whole.finish->reason, alone[i].finish->reason) << i;
      ASSERT_EQ(whole.embedding.size(), alone[i].embedding.size());
      for (std::size_t k = 0; k < whole.embedding.size(); ++k)
        EXPECT_NEAR(whole.embedding[k], alone[i].embedding[k], 1e-5F);
    }
    for (const std::int32_t id : alone[6].token_ids) EXPECT_TRUE(id >= 1 && id <= 4) << id;
    EXPECT_EQ(alone[0].token_ids.size(), 16U);
    EXPECT_TRUE(alone[7].token_ids.empty());
  }
}

TEST(MlxOutputs, EmbeddingsAreTransformers) {
  std::ifstream file(std::filesystem::path(MLXS_GOLDEN_DIR) / "embeddings.json", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const json::value golden = parse_json(text);
  for (const json::value& entry : golden.at("cases").as_array()) {
    const std::string name(entry.at("name").as_string());
    const auto engine = open_golden(name, 1);
    for (const char* pool : {"mean", "last"}) {
      Request request;
      request.prompt = json::value_to<Ids>(entry.at("tokens"));
      request.pooling = std::string(pool) == "mean" ? Pooling::mean : Pooling::last;
      Generation generation = engine->submit(request);
      const Event whole = read_whole(generation);
      EXPECT_EQ(whole.finish->usage.completion_tokens, 0);
      const auto expected = json::value_to<std::vector<double>>(entry.at(pool));
      ASSERT_EQ(whole.embedding.size(), expected.size()) << name;
      double squares = 0.0;
      for (const float value : whole.embedding) squares += double{value} * double{value};
      for (std::size_t i = 0; i < expected.size(); ++i)
        EXPECT_NEAR(double{whole.embedding[i]} / std::sqrt(squares), expected[i], 2e-5)
            << name << pool;
    }
  }
}

}  // namespace
}  // namespace mlxs
