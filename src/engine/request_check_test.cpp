#include "engine/request_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

namespace mlxs {
namespace {

const ModelInfo kModel{.vocab_size = 100, .context_length = 32};

// RETURNS: the refused field, or "" where the request is taken.
std::string refused_field(const std::function<void(Request&)>& change) {
  Request request;
  change(request);
  try {
    check_request(request, kModel);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_value);
    EXPECT_NE(std::string(error.what()).find(error.param()), std::string::npos);
    return error.param();
  }
  return "";
}

TEST(RequestCheck, TakesTheDefaultsAndTheEdges) {
  EXPECT_EQ(refused_field([](Request&) {}), "");
  EXPECT_EQ(
      refused_field([](Request& r) {
        r.sampling = {.temperature = 0.0F, .top_p = 1e-6F, .min_p = 1.0F};
      }),
      ""
  );
  EXPECT_EQ(
      refused_field([](Request& r) {
        r.sampling = {.temperature = 2.0F, .presence_penalty = -2.0F};
      }),
      ""
  );
  EXPECT_EQ(refused_field([](Request& r) { r.sampling.logit_bias = {{99, -100.0F}}; }), "");
  EXPECT_EQ(
      refused_field([](Request& r) {
        r.stop = {.max_tokens = 1, .stop = {"x"}, .stop_token_ids = {0}};
      }),
      ""
  );
}

TEST(RequestCheck, NamesTheFieldThatIsWrong) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float value : {-0.1F, 2.1F, kNan, kInfinity}) {
    EXPECT_EQ(
        refused_field([value](Request& r) { r.sampling.temperature = value; }), "temperature"
    );
  }
  for (const float value : {0.0F, 1.1F, kNan}) {
    EXPECT_EQ(refused_field([value](Request& r) { r.sampling.top_p = value; }), "top_p");
  }
  EXPECT_EQ(refused_field([](Request& r) { r.sampling.min_p = -0.1F; }), "min_p");
  EXPECT_EQ(refused_field([](Request& r) { r.sampling.top_k = -1; }), "top_k");
  EXPECT_EQ(
      refused_field([](Request& r) { r.sampling.repetition_penalty = 0.0F; }), "repetition_penalty"
  );
  EXPECT_EQ(
      refused_field([](Request& r) { r.sampling.presence_penalty = 2.5F; }), "presence_penalty"
  );
  EXPECT_EQ(
      refused_field([](Request& r) { r.sampling.frequency_penalty = kNan; }), "frequency_penalty"
  );
  EXPECT_EQ(refused_field([](Request& r) { r.sampling.logit_bias = {{100, 0.0F}}; }), "logit_bias");
  EXPECT_EQ(refused_field([](Request& r) { r.sampling.logit_bias = {{1, 101.0F}}; }), "logit_bias");
  EXPECT_EQ(refused_field([](Request& r) { r.stop.max_tokens = 0; }), "max_tokens");
  EXPECT_EQ(refused_field([](Request& r) { r.stop.stop = {""}; }), "stop");
  EXPECT_EQ(refused_field([](Request& r) { r.stop.stop.assign(17, "x"); }), "stop");
  EXPECT_EQ(refused_field([](Request& r) { r.stop.stop_token_ids = {-1}; }), "stop_token_ids");
}

ErrorCode code_of(const std::vector<std::int32_t>& ids, std::optional<int> max_tokens) {
  try {
    (void)check_prompt(ids, {.max_tokens = max_tokens}, kModel);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::cancelled;
}

TEST(RequestCheck, LimitsThePromptToTheContext) {
  EXPECT_EQ(check_prompt(std::vector<std::int32_t>(30, 1), {.max_tokens = 2}, kModel), 32);
  EXPECT_EQ(check_prompt(std::vector<std::int32_t>(31, 1), {}, kModel), 32);
  EXPECT_EQ(code_of(std::vector<std::int32_t>(30, 1), 3), ErrorCode::context_length_exceeded);
  EXPECT_EQ(
      code_of(std::vector<std::int32_t>(32, 1), std::nullopt), ErrorCode::context_length_exceeded
  );
  EXPECT_EQ(code_of({1, 2}, std::numeric_limits<int>::max()), ErrorCode::context_length_exceeded);
  EXPECT_EQ(code_of({}, 1), ErrorCode::invalid_value);
  EXPECT_EQ(code_of({1, 100}, 1), ErrorCode::invalid_value);
  EXPECT_EQ(code_of({-1}, 1), ErrorCode::invalid_value);
}

}  // namespace
}  // namespace mlxs
