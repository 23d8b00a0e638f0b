// A bad word is also one behind a space: tokens carry the space in front of them.
#include "engine/token_rules_text.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "engine/text_model.h"
#include "engine/value_check.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/request.h"
#include "sampling/token_rules.h"
#include "text/tokenizer.h"

namespace mlxs {
namespace {

std::vector<std::vector<std::int32_t>> bad_word_ids(
    const std::vector<std::string>& words, const Tokenizer& tokenizer
) {
  std::vector<std::vector<std::int32_t>> result;
  for (const std::string& word : words) {
    const std::size_t first = word.find_first_not_of(' ');
    const std::string spaced = " " + (first == std::string::npos ? word : word.substr(first));
    for (const std::string& form : {word, spaced}) {
      std::vector<std::int32_t> ids = tokenizer.encode(form);
      if (!ids.empty() && std::ranges::find(result, ids) == result.end())
        result.push_back(std::move(ids));
    }
  }
  return result;
}

std::vector<std::int32_t> breaker_ids(
    const std::vector<std::string>& breakers, const ModelInfo& info, const Tokenizer& tokenizer
) {
  std::vector<std::int32_t> ids;
  std::vector<char> is_found(breakers.size(), 0);
  for (std::int32_t id = 0; id < info.vocab_size; ++id) {
    if (!tokenizer.is_known(id)) continue;
    const std::string_view bytes = tokenizer.id_to_bytes(id);
    bool is_breaker = false;
    for (std::size_t i = 0; i < breakers.size(); ++i) {
      if (bytes.find(breakers[i]) == std::string_view::npos) continue;
      is_breaker = true;
      is_found[i] = 1;
    }
    if (is_breaker) ids.push_back(id);
  }
  for (std::size_t i = 0; i < breakers.size(); ++i) {
    if (is_found[i] != 0) continue;
    refuse(
        "dry_sequence_breakers",
        fmt::format("{} is within no token of this model", json_quote(breakers[i]))
    );
  }
  return ids;
}

// Where only some tokens are allowed, one of them has to be possible at the beginning, too.
void check_something_is_left(const TokenRules& rules) {
  if (rules.allowed.empty()) return;
  const std::vector<std::int32_t> banned = banned_tokens(rules, {});
  const bool is_left = std::ranges::any_of(rules.allowed, [&banned](std::int32_t id) {
    return std::ranges::find(banned, id) == banned.end();
  });
  if (!is_left) refuse("allowed_token_ids", "bad_words or min_tokens rule all of them out");
}

}  // namespace

std::shared_ptr<const TokenRules> make_token_rules(
    const Request& request, const ModelInfo& info, const TextModel& text
) {
  const SamplingParams& sampling = request.sampling;
  const StopParams& stop = request.stop;
  const bool has_dry = sampling.dry.multiplier > 0.0F;
  const bool has_rules = has_dry || stop.min_tokens > 0 || !sampling.allowed_token_ids.empty() ||
                         !sampling.bad_words.empty();
  if (!has_rules) return nullptr;
  TokenRules rules;
  rules.allowed = sampling.allowed_token_ids;
  std::ranges::sort(rules.allowed);
  const auto repeats = std::ranges::unique(rules.allowed);
  rules.allowed.erase(repeats.begin(), repeats.end());
  rules.bad_words = bad_word_ids(sampling.bad_words, text.tokenizer);
  rules.min_tokens = stop.min_tokens;
  if (stop.min_tokens > 0) {
    rules.end_tokens = stop.stop_token_ids;
    if (!stop.ignore_eos)
      rules.end_tokens.insert(rules.end_tokens.end(), text.eos_ids.begin(), text.eos_ids.end());
  }
  if (has_dry)
    rules.dry_breakers = breaker_ids(sampling.dry.sequence_breakers, info, text.tokenizer);
  check_something_is_left(rules);
  return std::make_shared<const TokenRules>(std::move(rules));
}

}  // namespace mlxs
