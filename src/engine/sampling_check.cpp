// Ranges as data.
#include "engine/sampling_check.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/value_check.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/request.h"
#include "mlx_serving/sampling.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxLogitBias = 1024;
constexpr std::size_t kMaxBadWords = 256;
constexpr std::size_t kMaxBreakers = 64;
constexpr std::size_t kMaxWordBytes = 256;
constexpr std::size_t kMaxSamplers = 7;  // each at most once
constexpr std::size_t kMaxLogprobIds = 128;
constexpr int kMaxTopLogprobs = 128;

void check_count(const std::string& field, std::size_t count, std::size_t most) {
  if (count > most) refuse(field, fmt::format("at most {} entries, got {}", most, count));
}

void check_words(
    const std::string& field, const std::vector<std::string>& words, std::size_t most
) {
  check_count(field, words.size(), most);
  for (const std::string& word : words) {
    if (word.empty() || word.size() > kMaxWordBytes)
      refuse(field, fmt::format("an entry has 1 to {} bytes", kMaxWordBytes));
  }
}

void check_least(const std::string& field, int value, int least) {
  if (value < least) refuse(field, fmt::format("must be at least {}, got {}", least, value));
}

void check_samplers(const std::vector<SamplerKind>& samplers) {
  std::vector<SamplerKind> sorted = samplers;
  std::ranges::sort(sorted);
  if (samplers.size() > kMaxSamplers || std::ranges::adjacent_find(sorted) != sorted.end())
    refuse("samplers", "each sampler may be named once");
}

void check_logprobs(const LogprobParams& logprobs, const ModelInfo& model) {
  const auto check_num = [](const char* field, std::optional<int> num) {
    if (num && (*num < 0 || *num > kMaxTopLogprobs))
      refuse(
          field, fmt::format("must be at least 0 and at most {}, got {}", kMaxTopLogprobs, *num)
      );
  };
  check_num("top_logprobs", logprobs.num_top);
  check_num("prompt_logprobs", logprobs.prompt_num_top);
  check_count("logprob_token_ids", logprobs.token_ids.size(), kMaxLogprobIds);
  for (const std::int32_t id : logprobs.token_ids) check_token_id(id, "logprob_token_ids", model);
}

}  // namespace

void check_sampling(const SamplingParams& params, const ModelInfo& model) {
  for (const Range& range : {
           Range{"temperature", params.temperature, 0.0F, 2.0F},
           Range{"top_p", params.top_p, 0.0F, 1.0F, /*excludes_min=*/true},
           Range{"min_p", params.min_p, 0.0F, 1.0F},
           Range{"typical_p", params.typical_p, 0.0F, 1.0F, /*excludes_min=*/true},
           Range{"top_n_sigma", params.top_n_sigma, 0.0F, 100.0F},
           Range{"xtc_probability", params.xtc.probability, 0.0F, 1.0F},
           Range{"xtc_threshold", params.xtc.threshold, 0.0F, 1.0F},
           Range{"dynatemp_range", params.dynatemp_range, 0.0F, 2.0F},
           Range{"dynatemp_exponent", params.dynatemp_exponent, 0.0F, 10.0F},
           Range{"mirostat_tau", params.mirostat.tau, 0.0F, 100.0F},
           Range{"mirostat_eta", params.mirostat.eta, 0.0F, 1.0F},
           Range{
               "repetition_penalty", params.repetition_penalty, 0.0F, 2.0F, /*excludes_min=*/true
           },
           Range{"presence_penalty", params.presence_penalty, -2.0F, 2.0F},
           Range{"frequency_penalty", params.frequency_penalty, -2.0F, 2.0F},
           Range{"dry_multiplier", params.dry.multiplier, 0.0F, 100.0F},
           Range{"dry_base", params.dry.base, 1.0F, 100.0F},
       }) {
    check_range(range);
  }
  check_least("top_k", params.top_k, 0);
  check_least("repeat_last_n", params.penalty_last_tokens, -1);
  check_least("dry_allowed_length", params.dry.allowed_length, 1);
  check_least("dry_penalty_last_n", params.dry.last_tokens, -1);
  if (params.mirostat.version < 0 || params.mirostat.version > 2)
    refuse("mirostat", fmt::format("must be 0, 1 or 2, got {}", params.mirostat.version));
  check_samplers(params.samplers);
  check_count("logit_bias", params.logit_bias.size(), kMaxLogitBias);
  for (const auto& [id, bias] : params.logit_bias) {
    check_token_id(id, "logit_bias", model);
    check_range({"logit_bias", bias, -100.0F, 100.0F});
  }
  for (const std::int32_t id : params.allowed_token_ids)
    check_token_id(id, "allowed_token_ids", model);
  check_words("bad_words", params.bad_words, kMaxBadWords);
  check_words("dry_sequence_breakers", params.dry.sequence_breakers, kMaxBreakers);
  check_logprobs(params.logprobs, model);
}

void check_lengths(const Request& request) {
  const StopParams& stop = request.stop;
  check_least("min_tokens", stop.min_tokens, 0);
  if (stop.max_tokens && stop.min_tokens > *stop.max_tokens) {
    refuse(
        "min_tokens",
        fmt::format("is {}, more than max_tokens, {}", stop.min_tokens, *stop.max_tokens)
    );
  }
  const int kept = request.truncate_prompt_tokens.value_or(1);
  if (kept < -1 || kept == 0)
    refuse("truncate_prompt_tokens", fmt::format("must be -1 or at least 1, got {}", kept));
}

}  // namespace mlxs
