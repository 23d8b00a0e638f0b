// The table of numeric fields and the fields that chat and completions share.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "mlx_serving/error.h"
#include "mlx_serving/request.h"
#include "mlx_serving/sampling.h"
#include "server/door/constraint_fields.h"
#include "server/door/sampler_fields.h"
#include "server/openai/api_model.h"
#include "server/openai/call.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kInt64Min = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();

constexpr NumberRule kTemperature{"temperature", 0.0, 2.0};
constexpr NumberRule kTopP{"top_p", 0.0, 1.0};
constexpr NumberRule kMinP{"min_p", 0.0, 1.0};
constexpr NumberRule kRepetitionPenalty{"repetition_penalty", 0.0, 2.0, LowerBound::exclusive};
constexpr NumberRule kPresencePenalty{"presence_penalty", -2.0, 2.0};
constexpr NumberRule kFrequencyPenalty{"frequency_penalty", -2.0, 2.0};
constexpr NumberRule kBias{"logit_bias", -100.0, 100.0};
constexpr IntegerRule kTopK{"top_k", -1, kInt32Max};  // -1 is vLLM's way to say off
constexpr IntegerRule kSeed{"seed", kInt64Min, kInt64Max};
constexpr IntegerRule kNumChoices{"n", 1, 16};
constexpr IntegerRule kPriority{"priority", -1000, 1000};
constexpr IntegerRule kTtftDeadline{"ttft_deadline_ms", 1, 86'400'000};
constexpr IntegerRule kDeadline{"deadline_ms", 1, 86'400'000};
constexpr IntegerRule kMaxTokens{"max_tokens", 1, kInt32Max};
constexpr IntegerRule kMaxCompletionTokens{"max_completion_tokens", 1, kInt32Max};

constexpr std::size_t kMaxStops = 16;
constexpr std::size_t kMaxStopBytes = 4096;
constexpr std::size_t kMaxStopTokens = 128;
constexpr std::size_t kMaxBiases = 1024;
constexpr std::size_t kMaxSaltBytes = 64;

[[noreturn]] void invalid_value(const std::string& path, const std::string& problem) {
  throw Error(ErrorCode::invalid_value, path + " " + problem, path);
}

void read_sampling(FieldReader& fields, SamplingParams& sampling) {
  if (const auto value = fields.number(kTemperature)) sampling.temperature = *value;
  // A top_p of 0 asks for the best token; the engine's range begins above it, where that is what it
  // does.
  if (const auto value = fields.number(kTopP))
    sampling.top_p = std::max(*value, std::numeric_limits<float>::min());
  if (const auto value = fields.number(kMinP)) sampling.min_p = *value;
  if (const auto value = fields.number(kRepetitionPenalty)) sampling.repetition_penalty = *value;
  if (const auto value = fields.number(kPresencePenalty)) sampling.presence_penalty = *value;
  if (const auto value = fields.number(kFrequencyPenalty)) sampling.frequency_penalty = *value;
  if (const auto value = fields.integer(kTopK))
    sampling.top_k = static_cast<int>(std::max<std::int64_t>(*value, 0));
  if (const auto value = fields.integer(kSeed)) sampling.seed = static_cast<std::uint64_t>(*value);
}

std::int32_t parse_token_key(std::string_view key, int vocab_size, const std::string& path) {
  std::int32_t token = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token);
  if (error != std::errc{} || end != key.data() + key.size() || token < 0 || token >= vocab_size) {
    invalid_value(
        path,
        fmt::format(
            "must have token ids from 0 to {} as keys, got {}",
            vocab_size - 1,
            json_quote(key.substr(0, 40))
        )
    );
  }
  return token;
}

void read_logit_bias(FieldReader& fields, int vocab_size, SamplingParams& sampling) {
  const json::object* biases = fields.object(kBias.name);
  if (biases == nullptr) return;
  const std::string path = fields.path_of(kBias.name);
  if (biases->size() > kMaxBiases)
    invalid_value(path, fmt::format("has {} entries, the limit is {}", biases->size(), kMaxBiases));
  sampling.logit_bias.clear();
  for (const auto& entry : *biases) {
    const std::int32_t token = parse_token_key(to_view(entry.key()), vocab_size, path);
    // "7" and "07" are different keys of one token.
    const auto is_same = [token](const auto& bias) { return bias.first == token; };
    if (std::any_of(sampling.logit_bias.begin(), sampling.logit_bias.end(), is_same)) {
      invalid_value(path, fmt::format("names token {} twice", token));
    }
    sampling.logit_bias.emplace_back(
        token, checked_number(entry.value(), kBias, fmt::format("{}.{}", path, token))
    );
  }
}

void add_stop(const json::value& value, const std::string& path, StopParams& stop) {
  const std::string_view text = checked_string(value, path);
  if (text.empty()) invalid_value(path, "must not be empty");
  if (text.size() > kMaxStopBytes)
    invalid_value(path, fmt::format("has {} bytes, the limit is {}", text.size(), kMaxStopBytes));
  stop.stop.emplace_back(text);
}

void read_stop(FieldReader& fields, int vocab_size, StopParams& stop) {
  stop.ignore_eos = fields.boolean("ignore_eos").value_or(false);
  const std::string path = fields.path_of("stop");
  if (const json::value* value = fields.any("stop")) {
    if (!value->is_array()) {
      if (!value->is_string()) throw_wrong_type(path, "a string or an array of strings", *value);
      add_stop(*value, path, stop);
    } else {
      const json::array& texts = value->get_array();
      if (texts.size() > kMaxStops)
        invalid_value(
            path, fmt::format("has {} strings, the limit is {}", texts.size(), kMaxStops)
        );
      for (std::size_t i = 0; i < texts.size(); ++i)
        add_stop(texts[i], element_path(path, i), stop);
    }
  }
  if (const json::array* ids = fields.array("stop_token_ids")) {
    const std::string ids_path = fields.path_of("stop_token_ids");
    if (ids->size() > kMaxStopTokens)
      invalid_value(
          ids_path, fmt::format("has {} ids, the limit is {}", ids->size(), kMaxStopTokens)
      );
    const IntegerRule rule{"stop_token_ids", 0, vocab_size - 1};
    for (std::size_t i = 0; i < ids->size(); ++i) {
      stop.stop_token_ids.push_back(
          static_cast<std::int32_t>(checked_integer((*ids)[i], rule, element_path(ids_path, i)))
      );
    }
  }
}

void read_max_tokens(FieldReader& fields, StopParams& stop) {
  const auto max_tokens = fields.integer(kMaxTokens);
  const auto max_completion_tokens = fields.integer(kMaxCompletionTokens);
  if (max_tokens && max_completion_tokens && *max_tokens != *max_completion_tokens) {
    invalid_value("max_tokens", "and max_completion_tokens differ; give one of them");
  }
  const auto limit = max_completion_tokens ? max_completion_tokens : max_tokens;
  if (limit) stop.max_tokens = static_cast<int>(*limit);
}

void read_scheduling(FieldReader& fields, SchedulingParams& scheduling) {
  if (const auto value = fields.integer(kPriority)) scheduling.priority = static_cast<int>(*value);
  if (const auto value = fields.integer(kTtftDeadline))
    scheduling.ttft_deadline = std::chrono::milliseconds(*value);
  if (const auto value = fields.integer(kDeadline))
    scheduling.deadline = std::chrono::milliseconds(*value);
}

void read_prefix_cache(FieldReader& fields, PrefixCacheParams& prefix_cache) {
  prefix_cache.is_enabled = fields.boolean("cache_prompt").value_or(true);
  const auto salt = fields.string("cache_salt");
  if (!salt) return;
  if (salt->empty() || salt->size() > kMaxSaltBytes) {
    invalid_value(
        fields.path_of("cache_salt"),
        fmt::format("must have 1 to {} bytes, got {}", kMaxSaltBytes, salt->size())
    );
  }
  prefix_cache.salt = std::string(*salt);
}

ReplyOptions read_reply_options(FieldReader& fields) {
  ReplyOptions reply;
  reply.is_stream = fields.boolean("stream").value_or(false);
  reply.explain_cache = fields.boolean("explain_cache").value_or(false);
  const json::value* value = fields.any("stream_options");
  if (value == nullptr) return reply;
  const std::string path = fields.path_of("stream_options");
  if (!reply.is_stream)
    throw Error(
        ErrorCode::invalid_value, "stream_options is only allowed when stream is true", path
    );
  FieldReader options(*value, path);
  reply.include_usage = options.boolean("include_usage").value_or(false);
  // padding against a watcher of sizes; this server sends none
  options.accept({"include_obfuscation"});
  options.finish();
  return reply;
}

void check_metadata(FieldReader& fields) {
  for (const std::string_view name :
       {"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}) {
    static_cast<void>(fields.string(name));  // checked for its type; it changes nothing here
  }
  if (const json::object* metadata = fields.object("metadata")) {
    for (const auto& entry : *metadata) {
      static_cast<void>(checked_string(
          entry.value(),
          fields.path_of("metadata") + "." + std::string(to_view(entry.key()).substr(0, 64))
      ));
    }
  }
}

void check_harmless_values(FieldReader& fields) {
  if (fields.boolean("store").value_or(false)) {
    throw Error(
        ErrorCode::unsupported,
        "store is not supported by this server: it keeps nothing; leave it out",
        "store"
    );
  }
  const auto tier = fields.word("service_tier", {"auto", "default", "flex", "priority", "scale"});
  if (tier && *tier != "auto" && *tier != "default") {
    throw Error(
        ErrorCode::unsupported,
        "service_tier has only auto and default on this server",
        "service_tier"
    );
  }
}

}  // namespace

CommonFields read_common_fields(FieldReader& fields, const ApiModel& model) {
  CommonFields common;
  const auto name = fields.string("model");
  if (!name) throw Error(ErrorCode::invalid_request, "you must provide a model parameter", "model");
  check_model_name(model, *name);
  common.model = std::string(*name);
  common.sampling = model.info.default_sampling;
  read_sampling(fields, common.sampling);
  read_logit_bias(fields, model.info.vocab_size, common.sampling);
  read_llama_samplers(fields, common.sampling);
  read_stop(fields, model.info.vocab_size, common.stop);
  read_token_rules(fields, model.info.vocab_size, common.sampling, common.stop);
  common.truncate_prompt_tokens = read_truncation(fields);
  read_max_tokens(fields, common.stop);
  read_scheduling(fields, common.scheduling);
  read_prefix_cache(fields, common.prefix_cache);
  common.constraint = read_constraint(fields);
  common.num_choices = static_cast<std::size_t>(fields.integer(kNumChoices).value_or(1));
  common.reply = read_reply_options(fields);
  check_metadata(fields);
  check_harmless_values(fields);
  return common;
}

void read_tokens_of_reply(FieldReader& fields, const ApiModel& model, CommonFields& common) {
  common.reply.tokens = read_token_reply(fields, model.info.vocab_size, common.sampling.logprobs);
  if (common.reply.tokens.has_prompt_logprobs && common.reply.is_stream) {
    throw Error(
        ErrorCode::invalid_value, "prompt_logprobs is not told in a stream", "prompt_logprobs"
    );
  }
}

Call make_call(CommonFields fields, const std::vector<Prompt>& prompts) {
  Call call;
  call.model = std::move(fields.model);
  call.num_choices = fields.num_choices;
  call.reply = fields.reply;
  for (const Prompt& prompt : prompts) {
    Request request;
    request.prompt = prompt;
    request.truncate_prompt_tokens = fields.truncate_prompt_tokens;
    request.returns_prompt = fields.reply.tokens.has_token_ids || fields.reply.tokens.is_echo;
    request.sampling = fields.sampling;
    request.stop = fields.stop;
    request.scheduling = fields.scheduling;
    request.prefix_cache = fields.prefix_cache;
    request.constraint = fields.constraint;
    call.requests.push_back(std::move(request));
  }
  return call;
}

}  // namespace mlxs
