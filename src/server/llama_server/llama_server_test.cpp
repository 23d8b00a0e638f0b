// llama-server's own routes over HTTP: replies, streams, facts, and what is refused.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <string>
#include <utility>
#include <vector>

#include "server/llama_server/call.h"
#include "server/openai/api_model.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

constexpr const char* kPath = "/completion";
const std::vector<std::int32_t> kHelloIds = {'h', 'e', 'l', 'l', 'o'};

json::value at(const json::value& value, const char* pointer) { return value.at_pointer(pointer); }

std::string body_of(const std::string& more) {
  return fmt::format(R"({{"prompt":"hello","temperature":0{}}})", more);
}

json::value ask(const TestServer& server, const std::string& body) {
  const TestResponse response = server.post(kPath, body);
  EXPECT_EQ(response.status, 200) << response.body;
  return response.json_body();
}

void expect_error(const TestResponse& response, int status, const char* type, const char* part) {
  EXPECT_EQ(response.status, status) << response.body;
  const json::value body = response.json_body();
  EXPECT_EQ(at(body, "/error/code"), status);
  EXPECT_EQ(at(body, "/error/type"), type) << response.body;
  EXPECT_NE(at(body, "/error/message").as_string().find(part), std::string::npos) << response.body;
}

TEST(LlamaServer, Completes) {
  TestServer server;
  const json::value body = ask(server, body_of(R"(,"n_predict":4,"return_tokens":true)"));
  const std::string text = fake_greedy_text(kHelloIds, 4);
  EXPECT_EQ(at(body, "/content").as_string(), text);
  EXPECT_EQ(at(body, "/tokens").as_array().size(), 4U);
  EXPECT_EQ(at(body, "/tokens/0"), static_cast<unsigned char>(text[0]));
  EXPECT_EQ(at(body, "/stop"), true);
  EXPECT_EQ(at(body, "/stop_type"), "limit");
  EXPECT_EQ(at(body, "/tokens_predicted"), 4);
  EXPECT_EQ(at(body, "/tokens_evaluated"), 5);
  EXPECT_EQ(at(body, "/timings/predicted_n"), 4);
  EXPECT_EQ(at(body, "/generation_settings/n_predict"), 4);
}

TEST(LlamaServer, StreamsPartsAndThenTheRest) {
  TestServer server;
  const TestResponse response = server.post(kPath, body_of(R"(,"n_predict":6,"stream":true)"));
  ASSERT_EQ(response.status, 200) << response.body;
  std::string text;
  const std::vector<std::string> parts = sse_data(response.body);
  for (const std::string& data : parts) {
    const json::value part = parse_json(data);
    text += at(part, "/content").as_string();
    EXPECT_EQ(at(part, "/stop").as_bool(), &data == &parts.back());
  }
  EXPECT_EQ(text, fake_greedy_text(kHelloIds, 6));
  EXPECT_EQ(at(parse_json(parts.back()), "/tokens_predicted"), 6);
}

TEST(LlamaServer, FormsOfThePromptAreEqual) {
  TestServer server;
  const std::string more = R"(,"temperature":0,"n_predict":3})";
  const std::string text = fake_greedy_text(kHelloIds, 3);
  for (const char* prompt :
       {R"("hello")", "[104,101,108,108,111]", R"(["hel",108,"o"])", R"([104,"ello"])"}) {
    const json::value body = ask(server, std::string(R"({"prompt":)") + prompt + more);
    EXPECT_EQ(at(body, "/content").as_string(), text) << prompt;
    EXPECT_EQ(at(body, "/tokens_evaluated"), 5) << prompt;
  }
}

TEST(LlamaServer, NamesTheStoppingWord) {
  TestServer server;
  const std::string whole = fake_greedy_text(kHelloIds, 8);
  const std::string word = whole.substr(3, 2);
  const json::value body =
      ask(server, body_of(fmt::format(R"(,"n_predict":8,"stop":[{}])", json_quote(word))));
  EXPECT_EQ(at(body, "/stop_type"), "word");
  EXPECT_EQ(at(body, "/stopping_word").as_string(), word);
  FakeEngineOptions engine;
  engine.runner.num_output_tokens = 3;
  TestServer ending(TestServer::quick_options(), engine);
  EXPECT_EQ(at(ask(ending, body_of("")), "/stop_type"), "eos");
  EXPECT_EQ(at(ask(ending, body_of(R"(,"ignore_eos":true,"n_predict":9)")), "/stop_type"), "limit");
}

TEST(LlamaServer, BiasesAreReadAsPairs) {
  TestServer server;
  const ApiModel model = make_api_model(server.engine().model(), {});
  const LlamaCall call =
      parse_llama_completion(body_of(R"(,"logit_bias":[[65,100],[66,-1.5]])"), model);
  const std::vector<std::pair<std::int32_t, float>> biases = {{65, 100.0F}, {66, -1.5F}};
  EXPECT_EQ(call.door.request.sampling.logit_bias, biases);
}

TEST(LlamaServer, RefusesByName) {
  TestServer server;
  const std::vector<std::pair<std::string, const char*>> unsupported = {
      {R"("json_schema":{"unevaluatedProperties":false})", "unevaluatedProperties"},
      {R"("id_slot":0)", "id_slot"},
      {R"("n_predict":0)", "n_predict"},
      {R"("timings_per_token":true)", "timings_per_token"},
  };
  for (const auto& [field, part] : unsupported)
    expect_error(server.post(kPath, body_of("," + field)), 400, "not_supported_error", part);
  const std::vector<std::pair<std::string, const char*>> invalid = {
      {R"("top_k":-1)", "top_k"},
      {R"("grammar":"root ::= x")", "grammar"},
      {R"("grammar":"root ::= \"a\"","json_schema":{})", "grammar"},
      {R"("nonsense":1)", "nonsense"},
      {R"("logit_bias":[[259,1]])", "logit_bias[0][0]"},
      {R"("logit_bias":[[1,1],[1,2]])", "logit_bias[1]"},
      {R"("seed":-2)", "seed"},
  };
  for (const auto& [field, part] : invalid)
    expect_error(server.post(kPath, body_of("," + field)), 400, "invalid_request_error", part);
  expect_error(server.post(kPath, "{}"), 400, "invalid_request_error", "prompt");
  expect_error(server.post(kPath, R"({"prompt":[]})"), 400, "invalid_request_error", "prompt");
  expect_error(server.post(kPath, R"({"prompt":[["a"]]})"), 400, "not_supported_error", "prompt");
  expect_error(
      server.post(kPath, R"({"prompt":[1,"a",999]})"), 400, "invalid_request_error", "prompt[2]"
  );
  expect_error(
      server.post(kPath, body_of(R"(,"n_predict":1000)")),
      400,
      "exceed_context_size_error",
      "context"
  );
  const std::string off =
      R"(,"n_predict":1,"grammar":"","mirostat":0,"typical_p":1.0,"id_slot":-1,"cache_prompt":true,"seed":-1)";
  EXPECT_EQ(server.post(kPath, body_of(off)).status, 200);
}

TEST(LlamaServer, TellsItsPropertiesAndPlaces) {
  FakeEngineOptions engine;
  engine.max_sequences = 3;
  TestServer server(TestServer::quick_options(), engine);
  const json::value props = server.ask("GET", "/props").json_body();
  EXPECT_EQ(at(props, "/total_slots"), 3);
  EXPECT_EQ(at(props, "/default_generation_settings/n_ctx"), 128);
  EXPECT_EQ(at(props, "/modalities/vision"), false);
  const json::value slots = server.ask("GET", "/slots").json_body();
  ASSERT_EQ(slots.as_array().size(), 3U);
  EXPECT_EQ(at(slots, "/2/id"), 2);
  EXPECT_EQ(at(slots, "/0/is_processing"), false);
}

}  // namespace
}  // namespace mlxs
