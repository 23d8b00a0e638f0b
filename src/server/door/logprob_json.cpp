// Members are in the order in which the APIs' own replies have them.
#include "server/door/logprob_json.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/event.h"
#include "server/openai/error_body.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

constexpr double kLeastLogprob = -9999.0;  // vLLM's

std::size_t num_characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

}  // namespace

double finite_logprob(float logprob) { return std::max(double{logprob}, kLeastLogprob); }

std::string LogprobWriter::name_of(std::int32_t id) const {
  if (names_ == TokenNames::ids) return fmt::format("token_id:{}", id);
  return valid_utf8(engine_.token_bytes(id));
}

json::array LogprobWriter::bytes_of(std::int32_t id) const {
  json::array bytes;
  for (const char c : engine_.token_bytes(id))
    bytes.push_back(static_cast<std::int64_t>(static_cast<unsigned char>(c)));
  return bytes;
}

json::object LogprobWriter::entry(const TokenLogprob& logprob) const {
  json::object object;
  object["token"] = name_of(logprob.id);
  object["logprob"] = finite_logprob(logprob.logprob);
  object["bytes"] = bytes_of(logprob.id);
  return object;
}

json::array LogprobWriter::entries(std::span<const TokenLogprobs> logprobs) const {
  json::array array;
  for (const TokenLogprobs& token : logprobs) {
    json::object object = entry({.id = token.id, .logprob = token.logprob});
    json::array top;
    for (const TokenLogprob& other : token.top) top.push_back(entry(other));
    object["top_logprobs"] = std::move(top);
    array.push_back(std::move(object));
  }
  return array;
}

json::object LogprobWriter::llama_entry(const TokenLogprob& logprob, Scale scale) const {
  json::object object;
  object["id"] = logprob.id;
  object["token"] = name_of(logprob.id);
  object["bytes"] = bytes_of(logprob.id);
  if (scale == Scale::logarithm) {
    object["logprob"] = finite_logprob(logprob.logprob);
  } else {
    object["prob"] = std::exp(double{logprob.logprob});
  }
  return object;
}

json::array LogprobWriter::llama_entries(std::span<const TokenLogprobs> logprobs, Scale scale)
    const {
  json::array array;
  for (const TokenLogprobs& token : logprobs) {
    json::object object = llama_entry({.id = token.id, .logprob = token.logprob}, scale);
    json::array top;
    for (const TokenLogprob& other : token.top) top.push_back(llama_entry(other, scale));
    object[scale == Scale::logarithm ? "top_logprobs" : "top_probs"] = std::move(top);
    array.push_back(std::move(object));
  }
  return array;
}

json::array LogprobWriter::prompt_entries(std::span<const TokenLogprobs> logprobs) const {
  json::array array;
  array.push_back(nullptr);
  for (const TokenLogprobs& token : logprobs) {
    json::object entries;
    const auto add = [&](std::int32_t id, float logprob, json::value rank) {
      json::object object;
      object["logprob"] = finite_logprob(logprob);
      object["rank"] = std::move(rank);
      object["decoded_token"] = valid_utf8(engine_.token_bytes(id));
      entries[std::to_string(id)] = std::move(object);
    };
    for (std::size_t i = 0; i < token.top.size(); ++i)
      add(token.top[i].id, token.top[i].logprob, i + 1);
    add(token.id, token.logprob, token.rank);
    array.push_back(std::move(entries));
  }
  return array;
}

json::object CompletionLogprobs::top_of(const TokenLogprobs& logprobs) const {
  json::object top;
  for (const TokenLogprob& other : logprobs.top)
    top[writer_.name_of(other.id)] = finite_logprob(other.logprob);
  top[writer_.name_of(logprobs.id)] = finite_logprob(logprobs.logprob);
  return top;
}

void CompletionLogprobs::add_token(std::int32_t id, json::value logprob, json::value top) {
  const std::string name = writer_.name_of(id);
  tokens_.push_back(json::string(to_json_view(name)));
  logprobs_.push_back(std::move(logprob));
  tops_.push_back(std::move(top));
  offsets_.push_back(offset_);
  offset_ += num_characters(name);
}

void CompletionLogprobs::add_prompt(
    std::span<const std::int32_t> ids, std::span<const TokenLogprobs> logprobs
) {
  if (ids.empty()) return;
  add_token(ids.front(), nullptr, nullptr);
  add(logprobs);
}

void CompletionLogprobs::add(std::span<const TokenLogprobs> logprobs) {
  for (const TokenLogprobs& token : logprobs)
    add_token(token.id, finite_logprob(token.logprob), top_of(token));
}

json::object CompletionLogprobs::take() {
  json::object object;
  object["tokens"] = std::exchange(tokens_, {});
  object["token_logprobs"] = std::exchange(logprobs_, {});
  object["top_logprobs"] = std::exchange(tops_, {});
  object["text_offset"] = std::exchange(offsets_, {});
  return object;
}

}  // namespace mlxs
