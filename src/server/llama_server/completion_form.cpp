// Rates are left at 0 where no time has passed.
#include "server/llama_server/completion_form.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "mlx_serving/event.h"
#include "mlx_serving/sampling.h"
#include "server/door/answer_one.h"
#include "server/door/logprob_json.h"
#include "server/door/sampler_fields.h"
#include "server/http/message.h"
#include "server/llama_server/error_body.h"
#include "server/openai/field_reader.h"
#include "server/openai/reply.h"

namespace mlxs {
namespace {

double ratio(double value, double by) { return by > 0.0 ? value / by : 0.0; }

json::object timings_object(const Finish& finish) {
  const Usage& usage = finish.usage;
  const Timings& timings = finish.timings;
  const int num_computed = usage.prompt_tokens - usage.cached_tokens;
  json::object object;
  object["cache_n"] = usage.cached_tokens;
  object["prompt_n"] = num_computed;
  object["prompt_ms"] = timings.prefill_ms;
  object["prompt_per_token_ms"] = ratio(timings.prefill_ms, num_computed);
  object["prompt_per_second"] = ratio(1000.0 * num_computed, timings.prefill_ms);
  object["predicted_n"] = usage.completion_tokens;
  object["predicted_ms"] = timings.decode_ms;
  object["predicted_per_token_ms"] = ratio(timings.decode_ms, usage.completion_tokens);
  object["predicted_per_second"] = ratio(1000.0 * usage.completion_tokens, timings.decode_ms);
  return object;
}

json::string_view stop_type(const Finish& finish) {
  if (finish.reason == FinishReason::length) return "limit";
  return finish.stop_string.empty() ? "eos" : "word";
}

}  // namespace

json::object sampling_object(const SamplingParams& sampling) {
  json::object object;
  object["temperature"] = sampling.temperature;
  object["top_k"] = sampling.top_k;
  object["top_p"] = sampling.top_p;
  object["min_p"] = sampling.min_p;
  object["repeat_penalty"] = sampling.repetition_penalty;
  object["repeat_last_n"] = sampling.penalty_last_tokens;
  object["presence_penalty"] = sampling.presence_penalty;
  object["frequency_penalty"] = sampling.frequency_penalty;
  object["typical_p"] = sampling.typical_p;
  object["top_n_sigma"] = sampling.top_n_sigma;
  object["xtc_probability"] = sampling.xtc.probability;
  object["xtc_threshold"] = sampling.xtc.threshold;
  object["dynatemp_range"] = sampling.dynatemp_range;
  object["dynatemp_exponent"] = sampling.dynatemp_exponent;
  object["mirostat"] = sampling.mirostat.version;
  object["mirostat_tau"] = sampling.mirostat.tau;
  object["mirostat_eta"] = sampling.mirostat.eta;
  object["dry_multiplier"] = sampling.dry.multiplier;
  object["dry_base"] = sampling.dry.base;
  object["dry_allowed_length"] = sampling.dry.allowed_length;
  object["dry_penalty_last_n"] = sampling.dry.last_tokens;
  object["samplers"] = sampler_names(sampling);
  return object;
}

std::string LlamaForm::opening(int prompt_tokens) {
  num_prompt_tokens_ = prompt_tokens;
  return {};
}

void LlamaForm::add_probabilities(const std::vector<TokenLogprobs>& logprobs, json::object& part)
    const {
  if (!facts_.tells_probabilities) return;
  using Scale = LogprobWriter::Scale;
  const bool is_of_draw = facts_.probabilities_of == LogprobsOf::draw;
  part["completion_probabilities"] =
      LogprobWriter(facts_.engine)
          .llama_entries(logprobs, is_of_draw ? Scale::probability : Scale::logarithm);
}

std::string LlamaForm::delta(const Event& event) {
  num_predicted_ += event.token_ids.size();
  if (event.text.empty() && !facts_.returns_tokens && event.logprobs.empty()) return {};
  json::object part;
  part["index"] = 0;
  part["content"] = event.text;
  part["tokens"] = facts_.returns_tokens
                       ? json::array(event.token_ids.begin(), event.token_ids.end())
                       : json::array();
  part["stop"] = false;
  part["tokens_predicted"] = num_predicted_;
  part["tokens_evaluated"] = num_prompt_tokens_;
  add_probabilities(event.logprobs, part);
  return sse_event(json::serialize(part));
}

json::object LlamaForm::last_part(const DoorResult& result) const {
  const Usage& usage = result.finish.usage;
  json::object part;
  part["stop"] = true;
  part["model"] = facts_.model;
  part["tokens_predicted"] = usage.completion_tokens;
  part["tokens_evaluated"] = usage.prompt_tokens;
  part["generation_settings"] = facts_.settings;
  part["has_new_line"] = result.text.find('\n') != std::string::npos;
  part["truncated"] = false;
  part["stop_type"] = stop_type(result.finish);
  part["stopping_word"] = result.finish.stop_string;
  part["tokens_cached"] = usage.prompt_tokens + usage.completion_tokens;
  part["timings"] = timings_object(result.finish);
  return part;
}

std::string LlamaForm::closing(const DoorResult& result) {
  json::object part;
  part["index"] = 0;
  part["content"] = "";
  part["tokens"] = json::array();
  for (const auto& member : last_part(result)) part[member.key()] = member.value();
  return sse_event(json::serialize(part));
}

std::string LlamaForm::broken(const HttpFault& fault) {
  return sse_event(render_llama_fault(fault, {}));
}

std::string LlamaForm::whole(const DoorResult& result) {
  json::object part;
  part["index"] = 0;
  part["content"] = result.text;
  part["tokens"] = facts_.returns_tokens
                       ? json::array(result.token_ids.begin(), result.token_ids.end())
                       : json::array();
  for (const auto& member : last_part(result)) part[member.key()] = member.value();
  add_probabilities(result.logprobs, part);
  return json::serialize(part);
}

}  // namespace mlxs
