// Embeddings and rankings over HTTP on the fake engine, whose hidden state of a token is its id,
// its position and 1.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "server/embeddings/embed.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

constexpr const char* kPath = "/v1/embeddings";

json::value post(TestServer& server, std::string_view path, const std::string& body) {
  const TestResponse response = server.post(path, body);
  EXPECT_EQ(response.status, 200) << response.body;
  return response.status == 200 ? response.json_body() : json::value();
}

std::vector<double> numbers(const json::value& array) {
  std::vector<double> values;
  for (const json::value& value : array.as_array()) values.push_back(value.to_number<double>());
  return values;
}

void expect_near(const std::vector<double>& actual, std::vector<double> expected) {
  double squares = 0.0;
  for (const double value : expected) squares += value * value;
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i)
    EXPECT_NEAR(actual[i], expected[i] / std::sqrt(squares), 1e-6) << i;
}

ServerOptions with_pooling(Pooling pooling) {
  ServerOptions options = TestServer::quick_options();
  options.embedding_pooling = pooling;
  return options;
}

TEST(Embeddings, MeanOfATextAndOfIds) {
  TestServer server;
  const json::value reply = post(server, kPath, R"({"model":"fake","input":["ab",  "c"]})");
  ASSERT_EQ(reply.at("data").as_array().size(), 2U);
  expect_near(numbers(reply.at("data").at(0).at("embedding")), {97.5, 0.5, 1.0});
  expect_near(numbers(reply.at("data").at(1).at("embedding")), {99.0, 0.0, 1.0});
  EXPECT_EQ(reply.at("data").at(1).at("index"), 1);
  EXPECT_EQ(reply.at("usage").at("prompt_tokens"), 3);
  EXPECT_EQ(reply.at("usage").at("total_tokens"), 3);
  const json::value ids = post(server, kPath, R"({"model":"fake","input":[97,98]})");
  EXPECT_EQ(ids.at("data").at(0).at("embedding"), reply.at("data").at(0).at("embedding"));
  // The prompt is longer than a step, so it is pooled in pieces.
  std::string longer(30, 'a');
  const json::value pieces = post(server, kPath, R"({"model":"fake","input":")" + longer + R"("})");
  expect_near(numbers(pieces.at("data").at(0).at("embedding")), {97.0, 14.5, 1.0});
}

TEST(Embeddings, LastIsTheLastTokens) {
  TestServer server(with_pooling(Pooling::last));
  for (int round = 0; round < 2; ++round) {  // the second finds its prompt cached
    const json::value reply = post(server, kPath, R"({"model":"fake","input":"abcdefghij"})");
    expect_near(numbers(reply.at("data").at(0).at("embedding")), {106.0, 9.0, 1.0});
  }
}

TEST(Embeddings, FormsAndDimensions) {
  TestServer server;
  const json::value whole = post(server, kPath, R"({"model":"fake","input":"ab"})");
  const json::value packed =
      post(server, kPath, R"({"model":"fake","input":"ab","encoding_format":"base64"})");
  std::vector<float> values;
  for (const double value : numbers(whole.at("data").at(0).at("embedding")))
    values.push_back(static_cast<float>(value));
  EXPECT_EQ(packed.at("data").at(0).at("embedding").as_string(), base64_of(values));
  const json::value cut = post(server, kPath, R"({"model":"fake","input":"ab","dimensions":2})");
  expect_near(numbers(cut.at("data").at(0).at("embedding")), {97.5, 0.5});
  EXPECT_EQ(server.post(kPath, R"({"model":"fake","input":"ab","dimensions":4})").status, 400);
  EXPECT_EQ(base64_of({1.0F}), "AACAPw==");
  EXPECT_EQ(base64_of({1.0F, -2.5F, 0.0F}), "AACAPwAAIMAAAAAA");
}

TEST(Embeddings, RefusesByName) {
  TestServer server;
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {R"({"model":"fake"})", "input"},
           {R"({"input":"x"})", "model"},
           {R"({"model":"fake","input":[]})", "input"},
           {R"({"model":"fake","input":["a",1]})", "input"},
           {R"({"model":"fake","input":[[1],[259]]})", "input[1][0]"},
           {R"({"model":"fake","input":"x","encoding_format":"int8"})", "encoding_format"},
           {R"({"model":"fake","input":"x","dimensions":0})", "dimensions"},
           {R"({"model":"fake","input":"x","weird":0})", "weird"},
       }) {
    const TestResponse response = server.post(kPath, body);
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_EQ(response.json_body().at("error").at("param").as_string(), field);
  }
  EXPECT_EQ(server.post(kPath, R"({"model":"other","input":"x"})").status, 404);
}

TEST(Embeddings, LlamaServersAndOllamasForms) {
  TestServer server;
  const json::value llama = post(server, "/embedding", R"({"content":"ab"})");
  expect_near(numbers(llama.at(0).at("embedding").at(0)), {97.5, 0.5, 1.0});
  const json::value raw = post(server, "/embeddings", R"({"input":"ab","embd_normalize":-1})");
  EXPECT_EQ(numbers(raw.at(0).at("embedding").at(0)), (std::vector<double>{97.5, 0.5, 1.0}));
  const json::value ollama = post(server, "/api/embed", R"({"model":"fake","input":["ab","c"]})");
  ASSERT_EQ(ollama.at("embeddings").as_array().size(), 2U);
  expect_near(numbers(ollama.at("embeddings").at(0)), {97.5, 0.5, 1.0});
  EXPECT_EQ(ollama.at("prompt_eval_count"), 3);
  const json::value old = post(server, "/api/embeddings", R"({"model":"fake","prompt":"ab"})");
  EXPECT_EQ(numbers(old.at("embedding")), (std::vector<double>{97.5, 0.5, 1.0}));
}

TEST(Rerank, AModelThatIsNoneIsToldSo) {
  TestServer server;
  const TestResponse response =
      server.post("/v1/rerank", R"({"model":"fake","query":"q","documents":["a"]})");
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(response.body.find("no reranker"), std::string::npos);
  // With the switch on, the words still have to be tokens.
  ServerOptions options = TestServer::quick_options();
  options.rerank = RerankUse::on;
  TestServer on(options);
  const TestResponse words =
      on.post("/v1/rerank", R"({"model":"fake","query":"q","documents":["a"]})");
  EXPECT_EQ(words.status, 400);
  EXPECT_NE(words.body.find("not one token"), std::string::npos);
  EXPECT_EQ(on.post("/v1/rerank", R"({"model":"fake","query":"q","documents":[]})").status, 400);
}

}  // namespace
}  // namespace mlxs
