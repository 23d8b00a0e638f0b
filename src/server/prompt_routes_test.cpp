// What a prompt becomes, over HTTP: ids, text, counts and estimates.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <string>

#include "server/testing/test_server.h"

namespace mlxs {
namespace {

json::value ask(const TestServer& server, const char* path, const std::string& body) {
  const TestResponse response = server.post(path, body);
  EXPECT_EQ(response.status, 200) << response.body;
  return response.json_body();
}

void expect_refused(
    const TestServer& server, const char* path, const std::string& body, const char* param
) {
  const TestResponse response = server.post(path, body);
  EXPECT_EQ(response.status, 400) << response.body;
  EXPECT_EQ(response.json_body().at_pointer("/error/param"), param) << response.body;
}

TEST(Tokenize, AnswersInVllmsForm) {
  TestServer server;
  const json::value body =
      ask(server, "/tokenize", R"({"model":"fake","prompt":"hi<|end|>","return_token_strs":true})");
  EXPECT_EQ(
      body,
      parse_json(
          R"({"count":3,"max_model_len":128,"tokens":[104,105,256],"token_strs":["h","i","<|end|>"]})"
      )
  );
  EXPECT_TRUE(ask(server, "/tokenize", R"({"prompt":"hi"})").at("token_strs").is_null());
}

TEST(Tokenize, AnswersInLlamaServersForm) {
  TestServer server;
  EXPECT_EQ(ask(server, "/tokenize", R"({"content":"hi"})"), parse_json(R"({"tokens":[104,105]})"));
  EXPECT_EQ(
      ask(server, "/tokenize", R"({"content":"a\u00e9","with_pieces":true})"),
      parse_json(
          R"({"tokens":[{"id":97,"piece":"a"},{"id":195,"piece":[195]},{"id":169,"piece":[169]}]})"
      )
  );
  EXPECT_EQ(
      ask(server, "/tokenize", R"({"content":"<|end|>","parse_special":false})")
          .at("tokens")
          .as_array()
          .size(),
      7U
  );
}

TEST(Tokenize, RendersChats) {
  TestServer server;
  const std::string chat = R"("messages":[{"role":"user","content":"hi"}])";
  const json::value body = ask(server, "/tokenize", "{" + chat + "}");
  const json::value count =
      ask(server, "/v1/chat/completions/input_tokens", R"({"model":"fake",)" + chat + "}");
  EXPECT_EQ(body.at("count"), count.at("input_tokens"));
  EXPECT_EQ(body.at("tokens").at(0), 257);
  const json::value without =
      ask(server, "/tokenize", "{" + chat + R"(,"add_generation_prompt":false})");
  EXPECT_EQ(body.at("count").as_int64() - without.at("count").as_int64(), 11);
}

TEST(Tokenize, RefusesByName) {
  TestServer server;
  expect_refused(server, "/tokenize", "{}", "prompt");
  expect_refused(server, "/tokenize", R"({"prompt":"a","messages":[]})", "prompt");
  expect_refused(server, "/tokenize", R"({"prompt":1})", "prompt");
  expect_refused(server, "/tokenize", R"({"prompt":"a","nonsense":1})", "nonsense");
  expect_refused(
      server, "/tokenize", R"({"messages":[{"role":"user","content":1}]})", "messages[0].content"
  );
  expect_refused(
      server,
      "/tokenize",
      R"({"messages":[{"role":"user","content":"a"}],"chat_template":"x"})",
      "chat_template"
  );
  EXPECT_EQ(server.post("/tokenize", R"({"model":"other","prompt":"a"})").status, 404);
}

TEST(Detokenize, KeepsSpecialTokensAndNamesTheTextForBothClients) {
  TestServer server;
  const json::value body = ask(server, "/detokenize", R"({"model":"fake","tokens":[104,105,256]})");
  EXPECT_EQ(body, parse_json(R"({"prompt":"hi<|end|>","content":"hi<|end|>"})"));
  expect_refused(server, "/detokenize", R"({"tokens":[1,259]})", "tokens[1]");
  expect_refused(server, "/detokenize", R"({"tokens":"a"})", "tokens");
  expect_refused(server, "/detokenize", "{}", "tokens");
}

TEST(ApplyTemplate, ReturnsTheText) {
  TestServer server;
  const json::value body =
      ask(server, "/apply-template", R"({"messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(body.at("prompt"), "<|role|>user:hi<|turn|><|role|>assistant:");
  expect_refused(server, "/apply-template", R"({"messages":[]})", "messages");
}

TEST(Estimate, TellsTokensAndMemory) {
  FakeEngineOptions engine;
  engine.context_length = 128;
  TestServer server(TestServer::quick_options(), engine);
  json::value body = ask(server, "/v1/estimate", R"({"prompt":"hello","max_tokens":10,"n":2})");
  EXPECT_EQ(body.at("prompt_tokens"), 5);
  EXPECT_EQ(body.at("max_total_tokens"), 30);
  EXPECT_EQ(body.at("fits_context"), true);
  EXPECT_EQ(body.at("fits_kv_memory"), true);
  EXPECT_EQ(body.at("free_kv_tokens"), body.at("total_kv_tokens"));
  body = ask(server, "/v1/estimate", R"({"prompt":"hello","max_tokens":124})");
  EXPECT_EQ(body.at("fits_context"), false);
  body = ask(server, "/v1/estimate", R"({"messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(body.at("max_total_tokens"), 128);
  EXPECT_EQ(server.engine().stats().num_requests_finished, 0U);
}

TEST(Estimate, RefusesWhatTheRequestItselfWouldBeRefusedFor) {
  TestServer server;
  expect_refused(server, "/v1/estimate", R"({"prompt":"a","temperature":3})", "temperature");
  expect_refused(server, "/v1/estimate", "{}", "prompt");
}

}  // namespace
}  // namespace mlxs
