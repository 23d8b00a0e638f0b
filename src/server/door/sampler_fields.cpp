// Names as llama-server and vLLM write them, with the values that switch each off.
#include "server/door/sampler_fields.h"

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
#include "mlx_serving/sampling.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

constexpr NumberRule kTypicalP{"typical_p", 0.0, 1.0, LowerBound::exclusive};
constexpr NumberRule kTopNSigma{"top_n_sigma", -1.0, 100.0};  // up to 0: off
constexpr NumberRule kXtcProbability{"xtc_probability", 0.0, 1.0};
constexpr NumberRule kXtcThreshold{"xtc_threshold", 0.0, 1.0};
constexpr NumberRule kDynatempRange{"dynatemp_range", 0.0, 2.0};
constexpr NumberRule kDynatempExponent{"dynatemp_exponent", 0.0, 10.0};
constexpr IntegerRule kMirostat{"mirostat", 0, 2};
constexpr NumberRule kMirostatTau{"mirostat_tau", 0.0, 100.0};
constexpr NumberRule kMirostatEta{"mirostat_eta", 0.0, 1.0};
constexpr IntegerRule kRepeatLastN{"repeat_last_n", -1, kInt32Max};
constexpr NumberRule kDryMultiplier{"dry_multiplier", 0.0, 100.0};
constexpr NumberRule kDryBase{"dry_base", 1.0, 100.0};
constexpr IntegerRule kDryAllowedLength{"dry_allowed_length", 1, kInt32Max};
constexpr IntegerRule kDryLastN{"dry_penalty_last_n", -1, kInt32Max};
constexpr IntegerRule kMinTokens{"min_tokens", 0, kInt32Max};
constexpr IntegerRule kTruncate{"truncate_prompt_tokens", -1, kInt32Max};

constexpr std::size_t kMaxWords = 256;
constexpr std::size_t kMaxBreakers = 64;
constexpr std::size_t kMaxWordBytes = 256;

[[noreturn]] void invalid(const std::string& path, const std::string& problem) {
  throw Error(ErrorCode::invalid_value, path + " " + problem, path);
}

void set(std::optional<float> value, float& member) {
  if (value) member = *value;
}

void set(std::optional<std::int64_t> value, int& member) {
  if (value) member = static_cast<int>(*value);
}

std::vector<std::string> read_words(
    const json::array& array, const std::string& path, std::size_t most
) {
  if (array.size() > most)
    invalid(path, fmt::format("has {} entries, the limit is {}", array.size(), most));
  std::vector<std::string> words;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const std::string element = element_path(path, i);
    const std::string_view word = checked_string(array[i], element);
    if (word.empty() || word.size() > kMaxWordBytes)
      invalid(element, fmt::format("must have 1 to {} bytes, got {}", kMaxWordBytes, word.size()));
    words.emplace_back(word);
  }
  return words;
}

void read_mirostat(FieldReader& fields, MirostatParams& mirostat) {
  set(fields.integer(kMirostat), mirostat.version);
  set(fields.number(kMirostatTau), mirostat.tau);
  set(fields.number(kMirostatEta), mirostat.eta);
}

void read_dry(FieldReader& fields, DryParams& dry) {
  set(fields.number(kDryMultiplier), dry.multiplier);
  set(fields.number(kDryBase), dry.base);
  set(fields.integer(kDryAllowedLength), dry.allowed_length);
  set(fields.integer(kDryLastN), dry.last_tokens);
  const json::array* breakers = fields.array("dry_sequence_breakers");
  if (breakers != nullptr) {
    dry.sequence_breakers =
        read_words(*breakers, fields.path_of("dry_sequence_breakers"), kMaxBreakers);
  }
}

struct SamplerName {
  std::string_view name;
  SamplerKind kind;
};

// The first name of a kind is the one that is written.
constexpr std::array kSamplerNames = {
    SamplerName{"temperature", SamplerKind::temperature},
    SamplerName{"top_n_sigma", SamplerKind::top_n_sigma},
    SamplerName{"top_k", SamplerKind::top_k},
    SamplerName{"typ_p", SamplerKind::typical_p},
    SamplerName{"top_p", SamplerKind::top_p},
    SamplerName{"min_p", SamplerKind::min_p},
    SamplerName{"xtc", SamplerKind::xtc},
    SamplerName{"typical_p", SamplerKind::typical_p},
    SamplerName{"temp", SamplerKind::temperature},
};

// What the list of samplers said of those that are no SamplerKind.
struct NamedPenalties {
  bool has_penalties = false;
  bool has_dry = false;
};

SamplerKind sampler_of(std::string_view name, const std::string& path) {
  const auto found = std::ranges::find(kSamplerNames, name, &SamplerName::name);
  if (found != kSamplerNames.end()) return found->kind;
  if (name == "infill" || name == "adaptive_p") {
    throw Error(
        ErrorCode::unsupported,
        fmt::format("{}: {} is not supported by this server", path, name),
        path
    );
  }
  invalid(
      path,
      "must be one of penalties, dry, top_n_sigma, top_k, typ_p, top_p, min_p, xtc, temperature, "
      "got " +
          json_quote(name.substr(0, 40))
  );
}

// penalties and dry act on single logits and so stand before the filters here, in this order.
void note_penalty(
    std::string_view name, const std::string& path, bool is_late, NamedPenalties& named
) {
  const bool is_dry = name == "dry";
  bool& has_it = is_dry ? named.has_dry : named.has_penalties;
  if (has_it) invalid(path, fmt::format("names {} twice", name));
  if (is_late || (!is_dry && named.has_dry)) {
    throw Error(
        ErrorCode::unsupported,
        path + ": this server applies penalties, then dry, before every other sampler",
        path
    );
  }
  has_it = true;
}

void read_order(FieldReader& fields, SamplingParams& sampling) {
  const json::array* names = fields.array("samplers");
  if (names == nullptr || names->empty()) return;
  NamedPenalties named;
  std::vector<SamplerKind> order;
  for (std::size_t i = 0; i < names->size(); ++i) {
    const std::string path = element_path(fields.path_of("samplers"), i);
    const std::string_view name = checked_string((*names)[i], path);
    if (name == "penalties" || name == "dry") {
      note_penalty(name, path, !order.empty(), named);
      continue;
    }
    const SamplerKind kind = sampler_of(name, path);
    if (std::ranges::find(order, kind) != order.end())
      invalid(path, fmt::format("names {} twice", name));
    order.push_back(kind);
  }
  // A sampler that the list leaves out is not applied; without any the draw is from all tokens.
  if (!named.has_dry) sampling.dry.multiplier = 0.0F;
  if (!named.has_penalties) {
    sampling.repetition_penalty = 1.0F;
    sampling.presence_penalty = 0.0F;
    sampling.frequency_penalty = 0.0F;
  }
  if (order.empty()) {
    order.push_back(SamplerKind::xtc);
    sampling.xtc.probability = 0.0F;
  }
  sampling.samplers = std::move(order);
}

}  // namespace

void read_llama_samplers(FieldReader& fields, SamplingParams& sampling) {
  set(fields.number(kTypicalP), sampling.typical_p);
  if (const auto sigma = fields.number(kTopNSigma)) sampling.top_n_sigma = std::max(*sigma, 0.0F);
  set(fields.number(kXtcProbability), sampling.xtc.probability);
  set(fields.number(kXtcThreshold), sampling.xtc.threshold);
  set(fields.number(kDynatempRange), sampling.dynatemp_range);
  set(fields.number(kDynatempExponent), sampling.dynatemp_exponent);
  set(fields.integer(kRepeatLastN), sampling.penalty_last_tokens);
  read_mirostat(fields, sampling.mirostat);
  read_dry(fields, sampling.dry);
  read_order(fields, sampling);
}

void read_ollama_samplers(FieldReader& options, SamplingParams& sampling) {
  set(options.number(kTypicalP), sampling.typical_p);
  set(options.integer(kRepeatLastN), sampling.penalty_last_tokens);
  read_mirostat(options, sampling.mirostat);
}

void read_token_rules(
    FieldReader& fields, int vocab_size, SamplingParams& sampling, StopParams& stop
) {
  set(fields.integer(kMinTokens), stop.min_tokens);
  stop.includes_stop = fields.boolean("include_stop_str_in_output").value_or(false);
  if (const json::array* words = fields.array("bad_words"))
    sampling.bad_words = read_words(*words, fields.path_of("bad_words"), kMaxWords);
  const json::array* ids = fields.array("allowed_token_ids");
  if (ids == nullptr) return;
  const std::string path = fields.path_of("allowed_token_ids");
  if (ids->empty()) invalid(path, "must not be empty");
  if (ids->size() > static_cast<std::size_t>(vocab_size))
    invalid(path, fmt::format("has {} ids, the vocabulary has {}", ids->size(), vocab_size));
  const IntegerRule rule{"allowed_token_ids", 0, vocab_size - 1};
  for (std::size_t i = 0; i < ids->size(); ++i) {
    sampling.allowed_token_ids.push_back(
        static_cast<std::int32_t>(checked_integer((*ids)[i], rule, element_path(path, i)))
    );
  }
}

std::optional<int> read_truncation(FieldReader& fields) {
  const auto side = fields.word("truncation_side", {"left", "right"});
  if (side && *side == "right") {
    const std::string path = fields.path_of("truncation_side");
    throw Error(ErrorCode::unsupported, path + " has only left on this server", path);
  }
  const auto kept = fields.integer(kTruncate);
  if (!kept) return std::nullopt;
  if (*kept == 0) invalid(fields.path_of(kTruncate.name), "must be -1 or at least 1, got 0");
  return static_cast<int>(*kept);
}

json::array sampler_names(const SamplingParams& sampling) {
  json::array names;
  for (const std::string_view name : {"penalties", "dry"}) names.push_back(to_json_view(name));
  const auto add = [&names](SamplerKind kind) {
    const auto found = std::ranges::find(kSamplerNames, kind, &SamplerName::kind);
    names.push_back(to_json_view(found->name));
  };
  if (!sampling.samplers.empty()) {
    for (const SamplerKind kind : sampling.samplers) add(kind);
    return names;
  }
  for (std::size_t i = 0; i < 7; ++i) add(kSamplerNames[i].kind);
  return names;
}

}  // namespace mlxs
