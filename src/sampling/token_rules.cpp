// Repetitions are found by the Z algorithm on the reversed history, in time linear in its length.
#include "sampling/token_rules.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "mlx_serving/sampling.h"

namespace mlxs {
namespace {

std::vector<std::int32_t> newest_first(const TokenHistory& history) {
  std::vector<std::int32_t> tokens(history.output_tokens.rbegin(), history.output_tokens.rend());
  tokens.insert(tokens.end(), history.prompt_tokens.rbegin(), history.prompt_tokens.rend());
  return tokens;
}

// RETURNS: for each position how many tokens from there on are those from the start on, at most
// `limit`; 0 for the first.
std::vector<std::size_t> common_prefixes(
    const std::vector<std::int32_t>& tokens, std::size_t limit
) {
  std::vector<std::size_t> lengths(tokens.size(), 0);
  std::size_t left = 0;
  std::size_t right = 0;
  for (std::size_t at = 1; at < tokens.size(); ++at) {
    std::size_t length = at < right ? std::min(right - at, lengths[at - left]) : 0;
    while (at + length < tokens.size() && tokens[length] == tokens[at + length]) ++length;
    lengths[at] = length;
    if (at + length > right) {
      left = at;
      right = at + length;
    }
  }
  for (std::size_t& length : lengths) length = std::min(length, limit);
  return lengths;
}

bool ends_like(const TokenHistory& history, std::span<const std::int32_t> tokens) {
  const std::size_t num_outputs = history.output_tokens.size();
  if (tokens.size() > num_outputs) return false;
  return std::ranges::equal(history.output_tokens.last(tokens.size()), tokens);
}

}  // namespace

bool needs_known_tokens(const SamplingParams& params, const TokenRules* rules) {
  const bool has_penalty = params.repetition_penalty != 1.0F || params.presence_penalty != 0.0F ||
                           params.frequency_penalty != 0.0F;
  if (has_penalty && params.penalty_last_tokens >= 0) return true;
  if (params.dry.multiplier > 0.0F || params.mirostat.version != 0) return true;
  if (rules == nullptr) return false;
  return std::ranges::any_of(rules->bad_words, [](const auto& word) { return word.size() > 1; });
}

std::vector<std::int32_t> banned_tokens(const TokenRules& rules, const TokenHistory& history) {
  std::vector<std::int32_t> banned;
  const std::size_t num_outputs = history.output_tokens.size() + history.num_in_flight;
  if (num_outputs < static_cast<std::size_t>(std::max(rules.min_tokens, 0)))
    banned = rules.end_tokens;
  for (const std::vector<std::int32_t>& word : rules.bad_words) {
    if (ends_like(history, std::span(word).first(word.size() - 1))) banned.push_back(word.back());
  }
  return banned;
}

std::vector<std::pair<std::int32_t, float>> dry_penalties(
    const DryParams& params, std::span<const std::int32_t> breakers, const TokenHistory& history
) {
  if (params.multiplier <= 0.0F) return {};
  const auto is_breaker = [&breakers](std::int32_t token) {
    return std::ranges::binary_search(breakers, token);
  };
  const std::vector<std::int32_t> tokens = newest_first(last_tokens(history, params.last_tokens));
  const auto limit =
      static_cast<std::size_t>(std::ranges::find_if(tokens, is_breaker) - tokens.begin());
  const auto allowed = static_cast<std::size_t>(params.allowed_length);
  if (limit < allowed) return {};
  const std::vector<std::size_t> lengths = common_prefixes(tokens, limit);
  std::map<std::int32_t, std::size_t> longest;  // by the token that went on
  for (std::size_t at = 1; at < tokens.size(); ++at) {
    if (lengths[at] < allowed || is_breaker(tokens[at - 1])) continue;
    std::size_t& length = longest[tokens[at - 1]];
    length = std::max(length, lengths[at]);
  }
  std::vector<std::pair<std::int32_t, float>> penalties;
  for (const auto& [token, length] : longest) {
    const double penalty = double{params.multiplier} *
                           std::pow(double{params.base}, static_cast<double>(length - allowed));
    // A logit stays a number, however long the repetition is.
    constexpr double kMost = std::numeric_limits<float>::max() / 4;
    penalties.emplace_back(token, static_cast<float>(std::min(penalty, kMost)));
  }
  return penalties;
}

TokenHistory last_tokens(const TokenHistory& history, int num_tokens) {
  if (num_tokens < 0) return history;
  const auto wanted = static_cast<std::size_t>(num_tokens);
  const std::size_t num_outputs = std::min(wanted, history.output_tokens.size());
  const std::size_t num_prompt = std::min(wanted - num_outputs, history.prompt_tokens.size());
  return {
      .prompt_tokens = history.prompt_tokens.last(num_prompt),
      .output_tokens = history.output_tokens.last(num_outputs),
      .num_in_flight = history.num_in_flight
  };
}

}  // namespace mlxs
