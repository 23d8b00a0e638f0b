#include "server/openai/messages.h"

#include <gtest/gtest.h>

#include <chrono>

#include "server/openai/call.h"

namespace mlxs {
namespace {

std::string normalized(const char* messages) {
  return normalize_messages(parse_json(messages).get_array(), "messages");
}

ApiModel test_model() {
  ModelInfo info;
  info.name = "m";
  info.vocab_size = 100;
  info.default_sampling.temperature = 0.6F;
  info.default_sampling.top_p = 0.9F;
  return make_api_model(info, {"m", "other"});
}

TEST(Messages, TakeTheFormOfTemplates) {
  EXPECT_EQ(normalized(R"([{"content":"x","role":"user"}])"), R"([{"role":"user","content":"x"}])");
  EXPECT_EQ(
      normalized(R"([{"role":"developer","content":"x"}])"), R"([{"role":"system","content":"x"}])"
  );
  EXPECT_EQ(
      normalized(
          R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])"
      ),
      R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])"
  );
  EXPECT_EQ(
      normalized(
          R"([{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}])"
      ),
      R"([{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":{"a":1}}}]}])"
  );
  EXPECT_EQ(
      normalized(R"([{"role":"tool","tool_call_id":"1","content":"2"}])"),
      R"([{"role":"tool","content":"2","tool_call_id":"1"}])"
  );
  EXPECT_EQ(normalized(R"([{"role":"user","content":""}])"), R"([{"role":"user","content":""}])");
}

TEST(Call, DefaultsAreTheModels) {
  const Call call = parse_chat_call(
      R"({"model":"m","messages":[{"role":"user","content":"x"}],"top_p":0})", test_model()
  );
  ASSERT_EQ(call.requests.size(), 1U);
  const Request& request = call.requests.front();
  EXPECT_EQ(request.sampling.temperature, 0.6F);
  EXPECT_GT(request.sampling.top_p, 0.0F);
  EXPECT_LT(request.sampling.top_p, 1e-30F);
  EXPECT_FALSE(request.stop.max_tokens);
  EXPECT_FALSE(request.sampling.seed);
  EXPECT_TRUE(std::get<ChatPrompt>(request.prompt).add_generation_prompt);
}

TEST(Call, CarriesEveryField) {
  const Call call = parse_completion_call(
      R"({"model":"other","prompt":[[1,2],[3]],"n":2,"seed":-1,"temperature":1.5,"top_k":-1,"min_p":0.25,"repetition_penalty":1.25,)"
      R"("presence_penalty":-1,"frequency_penalty":0.5,"logit_bias":{"7":-3},"stop":"s","stop_token_ids":[9],"max_tokens":5,"stream":true,)"
      R"("stream_options":{"include_usage":true},"priority":-7,"ttft_deadline_ms":20,"deadline_ms":30,"cache_salt":"me",)"
      R"("cache_prompt":false,"explain_cache":true})",
      test_model()
  );
  ASSERT_EQ(call.requests.size(), 2U);
  EXPECT_EQ(call.model, "other");
  EXPECT_EQ(call.num_choices, 2U);
  EXPECT_TRUE(call.reply.is_stream && call.reply.include_usage && call.reply.explain_cache);
  const Request& request = call.requests[1];
  EXPECT_EQ(std::get<std::vector<std::int32_t>>(request.prompt), (std::vector<std::int32_t>{3}));
  EXPECT_EQ(*request.sampling.seed, ~std::uint64_t{0});
  EXPECT_EQ(request.sampling.temperature, 1.5F);
  EXPECT_EQ(request.sampling.top_k, 0);
  EXPECT_EQ(request.sampling.min_p, 0.25F);
  EXPECT_EQ(request.sampling.repetition_penalty, 1.25F);
  EXPECT_EQ(request.sampling.presence_penalty, -1.0F);
  EXPECT_EQ(request.sampling.frequency_penalty, 0.5F);
  ASSERT_EQ(request.sampling.logit_bias.size(), 1U);
  EXPECT_EQ(request.sampling.logit_bias[0], (std::pair<std::int32_t, float>{7, -3.0F}));
  EXPECT_EQ(request.stop.stop, std::vector<std::string>{"s"});
  EXPECT_EQ(request.stop.stop_token_ids, std::vector<std::int32_t>{9});
  EXPECT_EQ(request.stop.max_tokens, 5);
  EXPECT_EQ(request.scheduling.priority, -7);
  EXPECT_EQ(request.scheduling.ttft_deadline, std::chrono::milliseconds(20));
  EXPECT_EQ(request.scheduling.deadline, std::chrono::milliseconds(30));
  EXPECT_EQ(request.prefix_cache.salt, "me");
  EXPECT_FALSE(request.prefix_cache.is_enabled);
}

TEST(Call, ToolsReachTheTemplateUnlessNone) {
  const std::string body =
      R"({"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"chat_template_kwargs":{"a":[1]})";
  const Call call = parse_chat_call(body + "}", test_model());
  const auto& prompt = std::get<ChatPrompt>(call.requests.front().prompt);
  EXPECT_EQ(prompt.tools_json, R"([{"type":"function","function":{"name":"f"}}])");
  EXPECT_EQ(prompt.template_kwargs_json, R"({"a":[1]})");
  const Call none = parse_chat_call(body + R"(,"tool_choice":"none"})", test_model());
  EXPECT_EQ(std::get<ChatPrompt>(none.requests.front().prompt).tools_json, "");
}

}  // namespace
}  // namespace mlxs
