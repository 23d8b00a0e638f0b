// Log probabilities and token ids in every door's form, whole and streamed, on the fake engine,
// whose likeliest tokens are always a, b, c with -0.5, -1.5, -2.5.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kCompletion = "/v1/completions";

json::value post(TestServer& server, std::string_view path, const std::string& body) {
  const TestResponse response = server.post(path, body);
  EXPECT_EQ(response.status, 200) << response.body;
  return response.status == 200 ? response.json_body() : json::value();
}

std::string chat_body(const std::string& more) {
  return R"({"model":"fake","max_tokens":3,"temperature":0,"messages":[{"role":"user","content":"x"}])" +
         more + "}";
}

std::string completion_body(const std::string& more) {
  return R"({"model":"fake","prompt":"hey","max_tokens":3,"temperature":0)" + more + "}";
}

TEST(Logprobs, Chat) {
  TestServer server;
  const json::value reply = post(server, kChat, chat_body(R"(,"logprobs":true,"top_logprobs":2)"));
  const json::value& choice = reply.at("choices").at(0);
  const json::array& content = choice.at("logprobs").at("content").as_array();
  ASSERT_EQ(content.size(), 3U);
  std::string text;
  for (const json::value& entry : content) {
    text += entry.at("token").as_string();
    EXPECT_EQ(entry.at("logprob").as_double(), -0.5);
    EXPECT_EQ(entry.at("bytes").as_array().size(), 1U);
    const json::array& top = entry.at("top_logprobs").as_array();
    ASSERT_EQ(top.size(), 2U);
    EXPECT_EQ(top[0].at("token").as_string(), "a");
    EXPECT_EQ(top[1].at("logprob").as_double(), -1.5);
  }
  EXPECT_EQ(text, choice.at("message").at("content").as_string());
  EXPECT_TRUE(choice.at("logprobs").at("refusal").is_null());
  EXPECT_TRUE(post(server, kChat, chat_body("")).at("choices").at(0).at("logprobs").is_null());
}

TEST(Logprobs, AStreamTellsTheSameAsAWhole) {
  TestServer server;
  const std::string fields = R"(,"n":2,"logprobs":true,"top_logprobs":1,"return_token_ids":true)";
  const json::value whole = post(server, kChat, chat_body(fields));
  const TestResponse streamed = server.post(kChat, chat_body(fields + R"(,"stream":true)"));
  for (std::size_t index = 0; index < 2; ++index) {
    json::array content;
    json::array ids;
    for (const std::string& data : sse_data(streamed.body)) {
      if (data == "[DONE]") continue;
      const json::value chunk = parse_json(data);
      for (const json::value& choice : chunk.at("choices").as_array()) {
        if (choice.at("index").to_number<std::size_t>() != index) continue;
        if (const auto* told = choice.at("logprobs").if_object()) {
          for (const json::value& entry : told->at("content").as_array()) content.push_back(entry);
        }
        if (const auto* told = choice.as_object().if_contains("token_ids")) {
          for (const json::value& id : told->as_array()) ids.push_back(id);
        }
      }
    }
    const json::value& choice = whole.at("choices").at(index);
    EXPECT_EQ(content, choice.at("logprobs").at("content").as_array());
    EXPECT_EQ(ids, choice.at("token_ids").as_array());
  }
  EXPECT_FALSE(whole.at("prompt_token_ids").as_array().empty());
}

TEST(Logprobs, Completions) {
  TestServer server;
  const json::value reply = post(server, kCompletion, completion_body(R"(,"logprobs":2)"));
  const json::value& choice = reply.at("choices").at(0);
  const json::object& logprobs = choice.at("logprobs").as_object();
  ASSERT_EQ(logprobs.at("tokens").as_array().size(), 3U);
  EXPECT_EQ(logprobs.at("token_logprobs"), (json::array{-0.5, -0.5, -0.5}));
  EXPECT_EQ(logprobs.at("text_offset"), (json::array{0, 1, 2}));
  const json::object& top = logprobs.at("top_logprobs").at(0).as_object();
  EXPECT_EQ(top.at("a").as_double(), -0.5);
  EXPECT_EQ(top.at("b").as_double(), -1.5);
}

TEST(Logprobs, EchoTellsThePromptToo) {
  TestServer server;
  const json::value reply =
      post(server, kCompletion, completion_body(R"(,"logprobs":1,"echo":true)"));
  const json::value& choice = reply.at("choices").at(0);
  const std::string_view text = choice.at("text").as_string();
  EXPECT_TRUE(text.starts_with("hey")) << text;
  const json::object& logprobs = choice.at("logprobs").as_object();
  ASSERT_EQ(logprobs.at("tokens").as_array().size(), 6U);
  EXPECT_TRUE(logprobs.at("token_logprobs").at(0).is_null());
  EXPECT_TRUE(logprobs.at("top_logprobs").at(0).is_null());
  EXPECT_EQ(logprobs.at("token_logprobs").at(1).as_double(), -0.5);
  EXPECT_EQ(logprobs.at("text_offset").at(5), 5);
  EXPECT_EQ(reply.at("usage").at("completion_tokens"), 3);
  const TestResponse streamed =
      server.post(kCompletion, completion_body(R"(,"logprobs":1,"echo":true,"stream":true)"));
  std::string joined;
  std::size_t num_tokens = 0;
  for (const std::string& data : sse_data(streamed.body)) {
    if (data == "[DONE]") continue;
    const json::value chunk = parse_json(data);
    const json::value& part = chunk.at("choices").at(0);
    joined += part.at("text").as_string();
    if (const auto* told = part.at("logprobs").if_object())
      num_tokens += told->at("tokens").as_array().size();
  }
  EXPECT_EQ(joined, text);
  EXPECT_EQ(num_tokens, 6U);
  // Without log probabilities only the text comes.
  const json::value plain = post(server, kCompletion, completion_body(R"(,"echo":true)"));
  EXPECT_EQ(plain.at("choices").at(0).at("text"), choice.at("text"));
  EXPECT_TRUE(plain.at("choices").at(0).at("logprobs").is_null());
}

TEST(Logprobs, PromptLogprobsInVllmsForm) {
  TestServer server;
  const json::value completion =
      post(server, kCompletion, completion_body(R"(,"prompt_logprobs":1,"n":2)"));
  for (const json::value& choice : completion.at("choices").as_array()) {
    const json::array& prompt = choice.at("prompt_logprobs").as_array();
    ASSERT_EQ(prompt.size(), 3U);
    EXPECT_TRUE(prompt[0].is_null());
    const json::object& entry = prompt[1].at("101").as_object();  // e
    EXPECT_EQ(entry.at("logprob").as_double(), -0.5);
    EXPECT_EQ(entry.at("rank"), 1);
    EXPECT_EQ(entry.at("decoded_token").as_string(), "e");
    EXPECT_TRUE(prompt[1].as_object().contains("97"));  // a, the likeliest
  }
  EXPECT_TRUE(post(server, kChat, chat_body(R"(,"prompt_logprobs":0)"))
                  .as_object()
                  .contains("prompt_logprobs"));
  EXPECT_EQ(server.post(kChat, chat_body(R"(,"prompt_logprobs":0,"stream":true)")).status, 400);
}

TEST(Logprobs, NamedTokensAndTokenNames) {
  TestServer server;
  const json::value reply = post(
      server,
      kChat,
      chat_body(
          R"(,"logprobs":true,"logprob_token_ids":[120,121],"return_tokens_as_token_ids":true)"
      )
  );
  const json::value& first = reply.at("choices").at(0).at("logprobs").at("content").at(0);
  EXPECT_TRUE(std::string_view(first.at("token").as_string()).starts_with("token_id:"));
  ASSERT_EQ(first.at("top_logprobs").as_array().size(), 2U);
  EXPECT_EQ(first.at("top_logprobs").at(1).at("token").as_string(), "token_id:121");
  EXPECT_EQ(server.post(kChat, chat_body(R"(,"logprob_token_ids":[1])")).status, 400);
  EXPECT_EQ(server.post(kChat, chat_body(R"(,"logprobs_mode":"raw_logits")")).status, 400);
  EXPECT_EQ(server.post(kChat, chat_body(R"(,"logprobs_mode":"processed_logprobs")")).status, 200);
}

TEST(Logprobs, LlamaServersProbabilities) {
  TestServer server;
  const std::string body = R"({"prompt":"hey","n_predict":2,"temperature":0,"n_probs":2)";
  const json::value raw = post(server, "/completion", body + "}");
  const json::array& logarithms = raw.at("completion_probabilities").as_array();
  ASSERT_EQ(logarithms.size(), 2U);
  EXPECT_EQ(logarithms[0].at("logprob").as_double(), -0.5);
  EXPECT_EQ(logarithms[0].at("top_logprobs").at(0).at("id"), 97);
  const json::value drawn = post(server, "/completion", body + R"(,"post_sampling_probs":true})");
  const json::value& first = drawn.at("completion_probabilities").at(0);
  EXPECT_NEAR(first.at("prob").as_double(), 0.60653, 1e-5);
  EXPECT_EQ(first.at("top_probs").as_array().size(), 2U);
  EXPECT_FALSE(post(server, "/completion", R"({"prompt":"hey","n_predict":2,"n_probs":0})")
                   .as_object()
                   .contains("completion_probabilities"));
}

TEST(Logprobs, OllamaAndResponses) {
  TestServer server;
  const json::value ollama = post(
      server,
      "/api/generate",
      R"({"model":"fake","prompt":"x","raw":true,"stream":false,"logprobs":true,"top_logprobs":1,"options":{"num_predict":2}})"
  );
  ASSERT_EQ(ollama.at("logprobs").as_array().size(), 2U);
  EXPECT_EQ(ollama.at("logprobs").at(0).at("top_logprobs").as_array().size(), 1U);
  const json::value response = post(
      server,
      "/v1/responses",
      R"({"model":"fake","input":"x","max_output_tokens":2,"top_logprobs":1,"include":["message.output_text.logprobs"]})"
  );
  const json::value& part = response.at("output").at(0).at("content").at(0);
  ASSERT_EQ(part.at("logprobs").as_array().size(), 2U);
  EXPECT_EQ(response.at("top_logprobs"), 1);
  EXPECT_EQ(
      server
          .post(
              "/v1/responses",
              R"({"model":"fake","input":"x","include":["file_search_call.results"]})"
          )
          .status,
      400
  );
}

TEST(Logprobs, ASuffixNeedsAModelForIt) {
  TestServer server;
  const TestResponse response = server.post(kCompletion, completion_body(R"(,"suffix":"end")"));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.json_body().at("error").at("param").as_string(), "suffix");
}

}  // namespace
}  // namespace mlxs
