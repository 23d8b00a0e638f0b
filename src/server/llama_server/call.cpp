// What the engine does not have may be sent switched off, and is refused by name otherwise. Without
// a field the model's own recommendation holds, not llama-server's defaults.
#include "server/llama_server/call.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/output.h"
#include "mlx_serving/request.h"
#include "mlx_serving/sampling.h"
#include "server/door/answer_one.h"
#include "server/door/constraint_fields.h"
#include "server/door/neutral_fields.h"
#include "server/door/sampler_fields.h"
#include "server/door/stop_strings.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();

constexpr NumberRule kTemperature{"temperature", 0.0, 2.0};
constexpr NumberRule kTopP{"top_p", 0.0, 1.0};
constexpr NumberRule kMinP{"min_p", 0.0, 1.0};
constexpr NumberRule kRepeatPenalty{"repeat_penalty", 0.0, 2.0, LowerBound::exclusive};
constexpr NumberRule kPresencePenalty{"presence_penalty", -2.0, 2.0};
constexpr NumberRule kFrequencyPenalty{"frequency_penalty", -2.0, 2.0};
constexpr NumberRule kBias{"logit_bias", -100.0, 100.0};
constexpr IntegerRule kTopK{"top_k", 0, kInt32Max};
constexpr IntegerRule kSeed{"seed", -1, kInt64Max};  // -1: a fresh one
constexpr IntegerRule kNumProbs{"n_probs", 0, 128};
constexpr IntegerRule kNumPredict{"n_predict", -1, kInt32Max};
constexpr IntegerRule kMaxTokens{"max_tokens", -1, kInt32Max};

constexpr std::size_t kMaxPieces = 4096;
constexpr std::size_t kMaxBiases = 1024;

constexpr std::array kNeutral = {
    NeutralNumber{"n_keep", 0.0},
    NeutralNumber{"min_keep", 0.0},
    NeutralNumber{"n_indent", 0.0},
    NeutralNumber{"t_max_predict_ms", 0.0},
    NeutralNumber{"id_slot", -1.0},
    NeutralNumber{"n_cmpl", 1.0},
    NeutralNumber{"n", 1.0},
    NeutralNumber{"adaptive_target", -1.0},
};
constexpr std::array<std::string_view, 4> kEmpty = {
    "lora", "response_fields", "image_data", "grammar_lazy"
};
constexpr std::array<std::string_view, 2> kOff = {"timings_per_token", "return_progress"};

void read_sampling(FieldReader& fields, SamplingParams& sampling) {
  if (const auto value = fields.number(kTemperature)) sampling.temperature = *value;
  // A top_p of 0 asks for the best token.
  if (const auto value = fields.number(kTopP))
    sampling.top_p = std::max(*value, std::numeric_limits<float>::min());
  if (const auto value = fields.number(kMinP)) sampling.min_p = *value;
  if (const auto value = fields.number(kRepeatPenalty)) sampling.repetition_penalty = *value;
  if (const auto value = fields.number(kPresencePenalty)) sampling.presence_penalty = *value;
  if (const auto value = fields.number(kFrequencyPenalty)) sampling.frequency_penalty = *value;
  if (const auto value = fields.integer(kTopK)) sampling.top_k = static_cast<int>(*value);
  const auto seed = fields.integer(kSeed);
  if (seed && *seed >= 0) sampling.seed = static_cast<std::uint64_t>(*seed);
}

// Pairs of an id and a bias.
void read_logit_bias(FieldReader& fields, int vocab_size, SamplingParams& sampling) {
  const json::array* pairs = fields.array(kBias.name);
  if (pairs == nullptr) return;
  const std::string path = fields.path_of(kBias.name);
  if (pairs->size() > kMaxBiases) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("{} has {} entries, the limit is {}", path, pairs->size(), kMaxBiases),
        path
    );
  }
  const IntegerRule id_rule{"logit_bias", 0, vocab_size - 1};
  for (std::size_t i = 0; i < pairs->size(); ++i) {
    const std::string pair_path = element_path(path, i);
    const json::array* pair = (*pairs)[i].if_array();
    if (pair == nullptr || pair->size() != 2)
      throw_wrong_type(pair_path, "an array of a token id and a number", (*pairs)[i]);
    const auto id =
        static_cast<std::int32_t>(checked_integer((*pair)[0], id_rule, element_path(pair_path, 0)));
    const auto is_same = [id](const auto& bias) { return bias.first == id; };
    if (std::any_of(sampling.logit_bias.begin(), sampling.logit_bias.end(), is_same)) {
      throw Error(
          ErrorCode::invalid_value, fmt::format("{} names token {} twice", pair_path, id), pair_path
      );
    }
    sampling.logit_bias.emplace_back(
        id, checked_number((*pair)[1], kBias, element_path(pair_path, 1))
    );
  }
}

// n_probs 0 asks for nothing.
void read_probabilities(FieldReader& fields, LlamaCall& call) {
  const bool is_of_draw = fields.boolean("post_sampling_probs").value_or(false);
  const auto num_probs = fields.integer(kNumProbs);
  if (num_probs.value_or(0) == 0) return;
  LogprobParams& logprobs = call.door.request.sampling.logprobs;
  logprobs.num_top = static_cast<int>(*num_probs);
  logprobs.of = is_of_draw ? LogprobsOf::draw : LogprobsOf::model;
  call.tells_probabilities = true;
}

void read_length(FieldReader& fields, StopParams& stop) {
  const auto num_predict = fields.integer(kNumPredict);
  const auto max_tokens = fields.integer(kMaxTokens);
  const auto limit = num_predict ? num_predict : max_tokens;
  if (!limit || *limit < 0) return;
  if (*limit == 0) {
    throw Error(
        ErrorCode::unsupported,
        "n_predict 0, which only reads the prompt, is not supported by this server",
        "n_predict"
    );
  }
  stop.max_tokens = static_cast<int>(*limit);
}

// An empty grammar is none.
std::optional<Constraint> read_constraint_fields(FieldReader& fields) {
  const json::value* schema = fields.any("json_schema");
  const std::string_view grammar = fields.string("grammar").value_or("");
  if (schema != nullptr && !grammar.empty()) {
    throw Error(
        ErrorCode::invalid_value, "json_schema and grammar are two constraints; give one", "grammar"
    );
  }
  if (schema != nullptr) return schema_constraint(*schema, "json_schema");
  if (grammar.empty()) return std::nullopt;
  return Constraint{.kind = ConstraintKind::gbnf, .text = std::string(grammar), .param = "grammar"};
}

void read_pieces(const json::array& items, int vocab_size, LlamaCall& call) {
  const IntegerRule rule{"prompt", 0, vocab_size - 1};
  bool has_text = false;
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].is_array()) throw_unsupported("a list of prompts in prompt");
    if (items[i].is_string()) {
      has_text = true;
      call.pieces.emplace_back(std::string(to_view(items[i].get_string())));
      continue;
    }
    const auto* id = items[i].if_int64();
    const bool is_valid = id != nullptr && *id >= rule.min && *id <= rule.max;
    const auto token = is_valid ? *id : checked_integer(items[i], rule, element_path("prompt", i));
    ids.push_back(static_cast<std::int32_t>(token));
    call.pieces.emplace_back(ids.back());
  }
  if (has_text && call.pieces.size() > kMaxPieces) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("prompt has {} pieces, the limit is {}", call.pieces.size(), kMaxPieces),
        "prompt"
    );
  }
  if (has_text) return;
  call.pieces.clear();
  call.door.request.prompt = std::move(ids);
}

void read_prompt(FieldReader& fields, int vocab_size, LlamaCall& call) {
  const json::value* prompt = fields.any("prompt");
  if (prompt == nullptr)
    throw Error(ErrorCode::invalid_request, "you must provide a prompt parameter", "prompt");
  if (prompt->is_string()) {
    call.door.request.prompt = std::string(to_view(prompt->get_string()));
    return;
  }
  if (!prompt->is_array())
    throw_wrong_type("prompt", "a string or an array of strings and token ids", *prompt);
  if (prompt->get_array().empty())
    throw Error(ErrorCode::invalid_value, "prompt must not be empty", "prompt");
  read_pieces(prompt->get_array(), vocab_size, call);
}

}  // namespace

LlamaCall parse_llama_completion(std::string_view body, const ApiModel& model) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  LlamaCall call;
  if (const auto name = fields.string("model")) check_model_name(model, *name);
  Request& request = call.door.request;
  request.sampling = model.info.default_sampling;
  read_sampling(fields, request.sampling);
  read_llama_samplers(fields, request.sampling);
  read_logit_bias(fields, model.info.vocab_size, request.sampling);
  read_length(fields, request.stop);
  read_stop_strings(fields, "stop", request.stop);
  request.stop.ignore_eos = fields.boolean("ignore_eos").value_or(false);
  if (fields.boolean("stream").value_or(false)) call.door.mode = ReplyMode::stream;
  read_probabilities(fields, call);
  call.returns_tokens = fields.boolean("return_tokens").value_or(false);
  static_cast<void>(fields.boolean("cache_prompt"));  // prefixes are cached without being asked
  check_neutral_numbers(fields, kNeutral);
  check_empty(fields, kEmpty);
  request.constraint = read_constraint_fields(fields);
  check_neutral_switches(fields, kOff);
  fields.accept({"adaptive_decay"});  // of a sampler that is switched off
  read_prompt(fields, model.info.vocab_size, call);
  fields.finish();
  return call;
}

}  // namespace mlxs
