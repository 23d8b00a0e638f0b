// Names and meanings are those of Ollama's Modelfile parameters.
#include "server/ollama/options.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/request.h"
#include "mlx_serving/sampling.h"
#include "server/door/neutral_fields.h"
#include "server/door/sampler_fields.h"
#include "server/door/stop_strings.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kInt64Min = std::numeric_limits<std::int64_t>::min();

constexpr NumberRule kTemperature{"temperature", 0.0, 2.0};
constexpr NumberRule kTopP{"top_p", 0.0, 1.0};
constexpr NumberRule kMinP{"min_p", 0.0, 1.0};
constexpr NumberRule kRepeatPenalty{"repeat_penalty", 0.0, 2.0, LowerBound::exclusive};
constexpr NumberRule kPresencePenalty{"presence_penalty", -2.0, 2.0};
constexpr NumberRule kFrequencyPenalty{"frequency_penalty", -2.0, 2.0};
constexpr IntegerRule kTopK{"top_k", 0, kInt32Max};
constexpr IntegerRule kSeed{"seed", kInt64Min, kInt64Max};
constexpr IntegerRule kNumPredict{"num_predict", -2, kInt32Max};
constexpr IntegerRule kNumContext{"num_ctx", 1, kInt32Max};

constexpr std::array kNeutral = {NeutralNumber{"tfs_z", 1.0}};

void read_sampling(FieldReader& options, SamplingParams& sampling) {
  if (const auto value = options.number(kTemperature)) sampling.temperature = *value;
  // A top_p of 0 asks for the best token.
  if (const auto value = options.number(kTopP))
    sampling.top_p = std::max(*value, std::numeric_limits<float>::min());
  if (const auto value = options.number(kMinP)) sampling.min_p = *value;
  if (const auto value = options.number(kRepeatPenalty)) sampling.repetition_penalty = *value;
  if (const auto value = options.number(kPresencePenalty)) sampling.presence_penalty = *value;
  if (const auto value = options.number(kFrequencyPenalty)) sampling.frequency_penalty = *value;
  if (const auto value = options.integer(kTopK)) sampling.top_k = static_cast<int>(*value);
  if (const auto value = options.integer(kSeed)) sampling.seed = static_cast<std::uint64_t>(*value);
}

// -1 is no limit, -2 fills the context: both are the engine's own way without a limit.
void read_length(FieldReader& options, const ApiModel& model, StopParams& stop) {
  const auto num_predict = options.integer(kNumPredict);
  const std::string path = options.path_of(kNumPredict.name);
  if (num_predict && *num_predict == 0)
    throw Error(ErrorCode::invalid_value, path + " must not be 0", path);
  if (num_predict && *num_predict > 0) stop.max_tokens = static_cast<int>(*num_predict);
  const auto context = options.integer(kNumContext);
  if (!context || *context <= model.info.context_length) return;
  const std::string context_path = options.path_of(kNumContext.name);
  throw Error(
      ErrorCode::invalid_value,
      fmt::format(
          "{} is {}, but this server runs the model with {} tokens",
          context_path,
          *context,
          model.info.context_length
      ),
      context_path
  );
}

}  // namespace

void read_ollama_options(FieldReader& fields, const ApiModel& model, Request& request) {
  request.sampling = model.info.default_sampling;
  const json::value* value = fields.any("options");
  if (value == nullptr) return;
  FieldReader options(*value, fields.path_of("options"));
  read_sampling(options, request.sampling);
  read_ollama_samplers(options, request.sampling);
  read_length(options, model, request.stop);
  read_stop_strings(options, "stop", request.stop);
  check_neutral_numbers(options, kNeutral);
  options.accept(
      {"num_keep",
       "numa",
       "num_batch",
       "num_gpu",
       "main_gpu",
       "low_vram",
       "use_mmap",
       "use_mlock",
       "num_thread",
       "vocab_only",
       "f16_kv",
       "logits_all",
       "embedding_only"}
  );
  check_neutral_switches(options, std::array<std::string_view, 1>{"penalize_newline"});
  options.finish();
}

}  // namespace mlxs
