// How the next token is chosen from the logits, and when a sequence ends. Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mlxs {

// Applied in this order: logit_bias, penalties, temperature, top_k, top_p, min_p, draw.
struct SamplingParams {
  float temperature = 1.0F;  // 0: the best token (greedy); range [0, 2]
  int top_k = 0;             // only the k best tokens; 0: off
  // the smallest set of best tokens with at least this probability; range (0, 1]; 1: off
  float top_p = 1.0F;
  float min_p = 0.0F;  // only tokens with at least min_p times the best one's probability; range
                       // [0, 1]; 0: off
  float repetition_penalty = 1.0F;  // divides positive and multiplies negative logits of tokens
                                    // seen in prompt or output; range (0, 2]; 1: off
  float presence_penalty = 0.0F;    // subtracted once from tokens of the output; range [-2, 2]
  float frequency_penalty = 0.0F;   // subtracted per occurrence in the output; range [-2, 2]
  // token id, added value in [-100, 100]
  std::vector<std::pair<std::int32_t, float>> logit_bias = {};
  // equal seeds draw equal tokens, whatever else is in the batch; none: a fresh one
  std::optional<std::uint64_t> seed = {};
};

struct StopParams {
  std::optional<int> max_tokens = {};  // none: what is left of the context
  std::vector<std::string> stop = {};  // the text ends before the first of them
  // ends after one of them; its text is not part of the output
  std::vector<std::int32_t> stop_token_ids = {};
  // goes on after the model's own end tokens; benchmarks need a fixed length
  bool ignore_eos = false;
};

}  // namespace mlxs
