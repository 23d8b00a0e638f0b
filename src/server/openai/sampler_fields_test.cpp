// Every sampler field through every door that takes it: where its value goes, and what each says of
// values around its range.
#include "server/door/sampler_fields.h"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <string>
#include <vector>

#include "mlx_serving/error.h"
#include "mlx_serving/request.h"
#include "server/llama_server/call.h"
#include "server/ollama/call.h"
#include "server/openai/api_model.h"
#include "server/openai/call.h"

namespace mlxs {
namespace {

ApiModel some_model() {
  return make_api_model({.name = "fake", .vocab_size = 259, .context_length = 64}, {});
}

Request chat(const std::string& more) {
  return parse_chat_call(
             R"({"model":"fake","messages":[{"role":"user","content":"x"}])" + more + "}",
             some_model()
  )
      .requests.front();
}

Request llama(const std::string& more) {
  return parse_llama_completion(R"({"prompt":"x")" + more + "}", some_model()).door.request;
}

Request ollama(const std::string& options) {
  return parse_ollama_generate(
             R"({"model":"fake","prompt":"x","options":{)" + options + "}}", some_model()
  )
      .door.request;
}

// RETURNS: the field that the refusal names; empty: it was taken.
template <typename Parse>
std::string refused(const Parse& parse, const std::string& more) {
  try {
    (void)parse(more);
  } catch (const Error& error) {
    return error.param();
  }
  return {};
}

struct Field {
  std::string name, below, min, max, above;
};

TEST(SamplerFields, RangesInOpenaisAndLlamaServersDoors) {
  const std::vector<Field> fields = {
      {"typical_p", "0", "0.001", "1", "1.001"},
      {"top_n_sigma", "-1.001", "-1", "100", "100.1"},
      {"xtc_probability", "-0.001", "0", "1", "1.001"},
      {"xtc_threshold", "-0.001", "0", "1", "1.001"},
      {"dynatemp_range", "-0.001", "0", "2", "2.001"},
      {"dynatemp_exponent", "-0.001", "0", "10", "10.1"},
      {"mirostat", "-1", "0", "2", "3"},
      {"mirostat_tau", "-0.001", "0", "100", "100.1"},
      {"mirostat_eta", "-0.001", "0", "1", "1.001"},
      {"repeat_last_n", "-2", "-1", "2147483647", "2147483648"},
      {"dry_multiplier", "-0.001", "0", "100", "100.1"},
      {"dry_base", "0.999", "1", "100", "100.1"},
      {"dry_allowed_length", "0", "1", "2147483647", "2147483648"},
      {"dry_penalty_last_n", "-2", "-1", "2147483647", "2147483648"},
  };
  for (const Field& field : fields) {
    const auto with = [&](const std::string& value) {
      return fmt::format(R"(,"{}":{})", field.name, value);
    };
    for (const std::string& value : {field.min, field.max, std::string("null")}) {
      EXPECT_EQ(refused(chat, with(value)), "") << field.name << value;
      EXPECT_EQ(refused(llama, with(value)), "") << field.name << value;
    }
    for (const std::string& value : {field.below, field.above, std::string("\"1\"")}) {
      EXPECT_EQ(refused(chat, with(value)), field.name) << value;
      EXPECT_EQ(refused(llama, with(value)), field.name) << value;
    }
  }
}

TEST(SamplerFields, ValuesReachTheEngine) {
  const std::string all =
      R"(,"typical_p":0.5,"top_n_sigma":1.5,"xtc_probability":0.25,"xtc_threshold":0.2,)"
      R"("dynatemp_range":0.5,"dynatemp_exponent":2,"mirostat":2,"mirostat_tau":4,"mirostat_eta":0.2,)"
      R"("repeat_last_n":64,"dry_multiplier":0.8,"dry_base":2,"dry_allowed_length":3,)"
      R"("dry_penalty_last_n":100,"dry_sequence_breakers":["\n"])";
  for (const Request& request : {chat(all), llama(all)}) {
    const SamplingParams& sampling = request.sampling;
    EXPECT_EQ(sampling.typical_p, 0.5F);
    EXPECT_EQ(sampling.top_n_sigma, 1.5F);
    EXPECT_EQ(sampling.xtc.probability, 0.25F);
    EXPECT_EQ(sampling.xtc.threshold, 0.2F);
    EXPECT_EQ(sampling.dynatemp_range, 0.5F);
    EXPECT_EQ(sampling.dynatemp_exponent, 2.0F);
    EXPECT_EQ(sampling.mirostat.version, 2);
    EXPECT_EQ(sampling.mirostat.tau, 4.0F);
    EXPECT_EQ(sampling.mirostat.eta, 0.2F);
    EXPECT_EQ(sampling.penalty_last_tokens, 64);
    EXPECT_EQ(sampling.dry.multiplier, 0.8F);
    EXPECT_EQ(sampling.dry.base, 2.0F);
    EXPECT_EQ(sampling.dry.allowed_length, 3);
    EXPECT_EQ(sampling.dry.last_tokens, 100);
    EXPECT_EQ(sampling.dry.sequence_breakers, std::vector<std::string>{"\n"});
  }
  const SamplingParams from_ollama =
      ollama(R"("typical_p":0.5,"mirostat":1,"mirostat_tau":3,"repeat_last_n":32)").sampling;
  EXPECT_EQ(from_ollama.typical_p, 0.5F);
  EXPECT_EQ(from_ollama.mirostat.version, 1);
  EXPECT_EQ(from_ollama.mirostat.tau, 3.0F);
  EXPECT_EQ(from_ollama.penalty_last_tokens, 32);
  EXPECT_EQ(llama(R"(,"top_n_sigma":-1)").sampling.top_n_sigma, 0.0F);
  EXPECT_EQ(refused(ollama, R"("mirostat":3)"), "options.mirostat");
}

TEST(SamplerFields, OrderOfSamplers) {
  using enum SamplerKind;
  const SamplingParams sampling =
      llama(
          R"(,"repeat_penalty":1.5,"presence_penalty":1,"dry_multiplier":1,"samplers":["dry","top_k","typ_p","temperature"])"
      )
          .sampling;
  EXPECT_EQ(sampling.samplers, (std::vector<SamplerKind>{top_k, typical_p, temperature}));
  EXPECT_EQ(sampling.repetition_penalty, 1.0F);  // not in the list
  EXPECT_EQ(sampling.presence_penalty, 0.0F);
  EXPECT_EQ(sampling.dry.multiplier, 1.0F);
  EXPECT_EQ(sampler_names(sampling).size(), 5U);
  const std::string llamas_own =
      R"(,"samplers":["penalties","dry","top_n_sigma","top_k","typ_p","top_p","min_p","xtc","temperature"])";
  EXPECT_EQ(llama(llamas_own).sampling.samplers.size(), 7U);
  EXPECT_EQ(refused(llama, R"(,"samplers":["top_k","penalties"])"), "samplers[1]");
  EXPECT_EQ(refused(llama, R"(,"samplers":["dry","penalties"])"), "samplers[1]");
  EXPECT_EQ(refused(llama, R"(,"samplers":["top_k","top_k"])"), "samplers[1]");
  EXPECT_EQ(refused(llama, R"(,"samplers":["infill"])"), "samplers[0]");
  EXPECT_EQ(refused(llama, R"(,"samplers":["weird"])"), "samplers[0]");
  EXPECT_EQ(refused(llama, R"(,"samplers":[1])"), "samplers[0]");
  EXPECT_TRUE(llama(R"(,"samplers":[])").sampling.samplers.empty());
}

TEST(SamplerFields, RulesAboutTokens) {
  const Request request = chat(
      R"(,"min_tokens":3,"allowed_token_ids":[5,1],"bad_words":["no"],"include_stop_str_in_output":true,"truncate_prompt_tokens":4)"
  );
  EXPECT_EQ(request.stop.min_tokens, 3);
  EXPECT_TRUE(request.stop.includes_stop);
  EXPECT_EQ(request.sampling.allowed_token_ids, (std::vector<std::int32_t>{5, 1}));
  EXPECT_EQ(request.sampling.bad_words, std::vector<std::string>{"no"});
  EXPECT_EQ(request.truncate_prompt_tokens, 4);
  EXPECT_EQ(chat(R"(,"truncate_prompt_tokens":-1)").truncate_prompt_tokens, -1);
  EXPECT_EQ(refused(chat, R"(,"truncate_prompt_tokens":0)"), "truncate_prompt_tokens");
  EXPECT_EQ(refused(chat, R"(,"truncate_prompt_tokens":-2)"), "truncate_prompt_tokens");
  EXPECT_EQ(refused(chat, R"(,"truncation_side":"right")"), "truncation_side");
  EXPECT_EQ(refused(chat, R"(,"allowed_token_ids":[])"), "allowed_token_ids");
  EXPECT_EQ(refused(chat, R"(,"allowed_token_ids":[259])"), "allowed_token_ids[0]");
  EXPECT_EQ(refused(chat, R"(,"bad_words":[""])"), "bad_words[0]");
  EXPECT_EQ(refused(chat, R"(,"min_tokens":-1)"), "min_tokens");
  EXPECT_EQ(refused(chat, R"(,"dry_sequence_breakers":[""])"), "dry_sequence_breakers[0]");
}

}  // namespace
}  // namespace mlxs
