// How the next token is chosen from the logits, and when a sequence ends. Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mlxs {

// A step from the logits to the tokens that may be drawn.
enum class SamplerKind : std::uint8_t {
  temperature,
  top_n_sigma,
  top_k,
  typical_p,
  top_p,
  min_p,
  xtc
};

// Exclude Top Choices, of llama.cpp and text-generation-webui: with `probability`, of the tokens
// with at least `threshold` all but the least likely one are left out.
struct XtcParams {
  float probability = 0.0F;  // range [0, 1]; 0: off
  float threshold = 0.1F;    // range [0, 1]; above 0.5 there are never two such tokens
};

// "Don't Repeat Yourself", of llama.cpp and text-generation-webui: what would go on with a
// repetition of r >= allowed_length tokens loses multiplier * base^(r - allowed_length).
struct DryParams {
  float multiplier = 0.0F;  // range [0, 100]; 0: off
  float base = 1.75F;       // range [1, 100]
  int allowed_length = 2;   // at least 1
  int last_tokens = -1;     // of prompt and output, that are looked through; -1: all; 0: off
  // No repetition reaches over a token whose text contains one of them.
  std::vector<std::string> sequence_breakers = {"\n", ":", "\"", "*"};
};

// Basu et al., "Mirostat" (2020): keeps the surprise of the text, in bits, at `tau`. After the
// temperature it takes the place of every other filter.
struct MirostatParams {
  int version = 0;   // 1, or 2, the simpler one; 0: off
  float tau = 5.0F;  // range [0, 100]
  float eta = 0.1F;  // how fast it learns; range [0, 1]
};

enum class LogprobsOf : std::uint8_t {
  model,  // of the logits as the model gave them
  draw    // of what the token was drawn from: after biases, penalties, temperature and filters
};

// Log probabilities that are told. They never change what is drawn.
struct LogprobParams {
  // the likeliest tokens that are told with each sampled one; 0: the sampled one alone; none: off
  std::optional<int> num_top = {};
  LogprobsOf of = LogprobsOf::model;
  // these tokens instead of the likeliest ones
  std::vector<std::int32_t> token_ids = {};
  // The same for each token of the prompt but the first, always as the model gave them. The prompt
  // is computed in full.
  std::optional<int> prompt_num_top = {};
};

// Applied in this order: what a token's id decides (logit_bias, allowed_token_ids, bad_words,
// min_tokens), penalties, DRY, then the samplers in their order, draw.
struct SamplingParams {
  float temperature = 1.0F;  // 0: the best token (greedy), whatever the filters; range [0, 2]
  int top_k = 0;             // only the k best tokens; 0: off
  // the smallest set of best tokens with at least this probability; range (0, 1]; 1: off
  float top_p = 1.0F;
  float min_p = 0.0F;  // only tokens with at least min_p times the best one's probability; range
                       // [0, 1]; 0: off
  // Meister et al., "Locally Typical Sampling" (2022): the smallest set of tokens whose surprise is
  // closest to the entropy, with at least this probability; range (0, 1]; 1: off
  float typical_p = 1.0F;
  // Tang et al., "Top-n-sigma" (2024): only logits within n standard deviations of the best one;
  // range [0, 100]; 0: off
  float top_n_sigma = 0.0F;
  XtcParams xtc = {};
  // llama.cpp's dynamic temperature: temperature - range for a certain distribution, temperature +
  // range for an even one, by the power `exponent` of the normalised entropy between; 0: off
  float dynatemp_range = 0.0F;     // [0, 2]
  float dynatemp_exponent = 1.0F;  // [0, 10]
  MirostatParams mirostat = {};
  // The samplers that are applied, and in which order; empty: all of them, as SamplerKind has them.
  std::vector<SamplerKind> samplers = {};

  float repetition_penalty = 1.0F;  // divides positive and multiplies negative logits of tokens
                                    // seen in prompt or output; range (0, 2]; 1: off
  float presence_penalty = 0.0F;    // subtracted once from tokens of the output; range [-2, 2]
  float frequency_penalty = 0.0F;   // subtracted per occurrence in the output; range [-2, 2]
  int penalty_last_tokens = -1;     // of prompt and output, that the penalties see; -1: all
  DryParams dry = {};
  // token id, added value in [-100, 100]
  std::vector<std::pair<std::int32_t, float>> logit_bias = {};
  std::vector<std::int32_t> allowed_token_ids = {};  // no others are drawn; empty: all are
  std::vector<std::string> bad_words = {};           // never completed, as tokens
  // equal seeds draw equal tokens, whatever else is in the batch; none: a fresh one
  std::optional<std::uint64_t> seed = {};
  LogprobParams logprobs = {};
};

struct StopParams {
  std::optional<int> max_tokens = {};  // none: what is left of the context
  int min_tokens = 0;  // before so many, no end or stop token is drawn and no stop string ends
  std::vector<std::string> stop = {};  // the text ends before the first of them
  // ends after one of them; its text is not part of the output
  std::vector<std::int32_t> stop_token_ids = {};
  // goes on after the model's own end tokens; benchmarks need a fixed length
  bool ignore_eos = false;
  bool includes_stop = false;  // the stop string, or the text of the stop token, is shown, too
};

}  // namespace mlxs
