// The RoPE scalings, one function each; see rope_scaling.h.
#include "model/rope_scaling.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "kernels/layer_spec.h"
#include "model/model_config.h"

namespace mlxs {
namespace {

constexpr NumberRange kFactorRange{1e-6, 1e6};
constexpr NumberRange kRotationsRange{1e-6, 1e6};
constexpr NumberRange kAttentionFactorRange{0.0, 1e3};
constexpr double kDefaultBetaFast = 32.0;
constexpr double kDefaultBetaSlow = 1.0;

std::string rope_type_of(const ConfigReader& parameters) {
  return parameters.optional_string("rope_type")
      .value_or(parameters.optional_string("type").value_or("default"));
}

int original_context_of(const ConfigReader& parameters, const RopeContext& context) {
  if (context.original_context) return *context.original_context;
  return parameters.integer_or(
      "original_max_position_embeddings", kTokensRange, context.context_length
  );
}

// RETURNS: the unscaled frequencies, theta^(-2i / num_dims).
std::vector<double> base_frequencies(double theta, int num_dims) {
  std::vector<double> frequencies(static_cast<std::size_t>(num_dims / 2));
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    frequencies[i] = std::pow(theta, -2.0 * static_cast<double>(i) / num_dims);
  }
  return frequencies;
}

struct ScalingInput {
  const ConfigReader& parameters;
  const RopeContext& context;
  double theta;
  std::vector<double> frequencies;  // [num_dims / 2], unscaled
};

// RETURNS: factor_at(i) times each frequency, rounded to float.
template <typename FactorAt>
std::vector<float> scaled(const std::vector<double>& frequencies, FactorAt factor_at) {
  std::vector<float> result(frequencies.size());
  for (std::size_t i = 0; i < result.size(); ++i)
    result[i] = static_cast<float>(frequencies[i] * factor_at(i));
  return result;
}

std::vector<float> divided(const ScalingInput& input, std::string_view key) {
  const std::vector<double> divisors = input.parameters.numbers(key, kFactorRange);
  const std::size_t needed = input.frequencies.size();
  if (divisors.size() != needed) {
    throw input.parameters.invalid(
        key,
        fmt::format(
            "must hold one factor for each of {} frequencies, got {}", needed, divisors.size()
        )
    );
  }
  return scaled(input.frequencies, [&](std::size_t i) { return 1.0 / divisors[i]; });
}

void keep_unscaled(const ScalingInput& input, RopeSpec& rope) {
  rope.inv_freq = scaled(input.frequencies, [](std::size_t) { return 1.0; });
}

void scale_linear(const ScalingInput& input, RopeSpec& rope) {
  const double factor = input.parameters.number("factor", kFactorRange);
  rope.inv_freq = scaled(input.frequencies, [factor](std::size_t) { return 1.0 / factor; });
}

// Slow rotations are divided by the factor, fast ones are kept, those between are blended.
void scale_llama3(const ScalingInput& input, RopeSpec& rope) {
  const double factor = input.parameters.number("factor", kFactorRange);
  const double low = input.parameters.number("low_freq_factor", kFactorRange);
  const double high = input.parameters.number("high_freq_factor", kFactorRange);
  if (high <= low) {
    throw input.parameters.invalid(
        "high_freq_factor", fmt::format("must be above low_freq_factor {}, got {}", low, high)
    );
  }
  const double original = original_context_of(input.parameters, input.context);
  rope.inv_freq = scaled(input.frequencies, [&](std::size_t i) {
    const double rotations = original * input.frequencies[i] / (2.0 * std::numbers::pi);
    const double kept = std::clamp((rotations - low) / (high - low), 0.0, 1.0);
    return (1.0 - kept) / factor + kept;
  });
}

void scale_llama3_factors(const ScalingInput& input, RopeSpec& rope) {
  rope.inv_freq = divided(input, "factors");
}

double yarn_factor(const ConfigReader& parameters, const RopeContext& context) {
  const double implied =
      static_cast<double>(context.context_length) / original_context_of(parameters, context);
  return parameters.number_or("factor", kFactorRange, implied);
}

float yarn_attention_factor(const ConfigReader& parameters, double factor) {
  const auto given = parameters.optional_number("attention_factor", kAttentionFactorRange);
  if (given) return static_cast<float>(*given);
  const auto magnitude = [factor](double mscale) {
    return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
  };
  const double mscale = parameters.number_or("mscale", kAttentionFactorRange, 0.0);
  const double mscale_all_dim = parameters.number_or("mscale_all_dim", kAttentionFactorRange, 0.0);
  if (mscale == 0.0 || mscale_all_dim == 0.0) return static_cast<float>(magnitude(1.0));
  return static_cast<float>(magnitude(mscale) / magnitude(mscale_all_dim));
}

// RETURNS: `key`; where it is absent or 0 the fallback, as Transformers reads the betas.
double nonzero_or(const ConfigReader& parameters, std::string_view key, double fallback) {
  const double value = parameters.number_or(key, {0.0, kRotationsRange.max}, 0.0);
  return value == 0.0 ? fallback : std::max(value, kRotationsRange.min);
}

// Frequencies below `low` are kept, those above `high` divided by the factor, those between blended
// linearly.
void scale_yarn(const ScalingInput& input, RopeSpec& rope) {
  const double factor = yarn_factor(input.parameters, input.context);
  const double original = original_context_of(input.parameters, input.context);
  const auto dimension_of = [&](double rotations) {
    return rope.num_dims * std::log(original / (rotations * 2.0 * std::numbers::pi)) /
           (2.0 * std::log(input.theta));
  };
  double low = dimension_of(nonzero_or(input.parameters, "beta_fast", kDefaultBetaFast));
  double high = dimension_of(nonzero_or(input.parameters, "beta_slow", kDefaultBetaSlow));
  if (input.parameters.optional_flag("truncate").value_or(true)) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, rope.num_dims - 1.0);
  if (low == high) high += 0.001;
  rope.inv_freq = scaled(input.frequencies, [&](std::size_t i) {
    const double interpolated = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    return interpolated / factor + (1.0 - interpolated);
  });
  rope.attention_factor = yarn_attention_factor(input.parameters, factor);
}

float longrope_attention_factor(
    const ConfigReader& parameters, const RopeContext& context, int original
) {
  const auto given = parameters.optional_number("attention_factor", kAttentionFactorRange);
  if (given) return static_cast<float>(*given);
  const double implied = static_cast<double>(context.context_length) / original;
  const double factor = parameters.number_or("factor", kFactorRange, implied);
  if (factor <= 1.0) return 1.0F;
  if (original < 2) {
    throw parameters.invalid(
        "original_max_position_embeddings", fmt::format("must be above 1, got {}", original)
    );
  }
  return static_cast<float>(std::sqrt(1.0 + std::log(factor) / std::log(original)));
}

void scale_longrope(const ScalingInput& input, RopeSpec& rope) {
  rope.inv_freq = divided(input, "short_factor");
  rope.inv_freq_long = divided(input, "long_factor");
  rope.original_context = original_context_of(input.parameters, input.context);
  rope.attention_factor =
      longrope_attention_factor(input.parameters, input.context, rope.original_context);
}

struct Scaling {
  std::string_view name;
  void (*apply)(const ScalingInput&, RopeSpec&);
};

constexpr std::array kScalings{
    Scaling{"default", keep_unscaled},
    Scaling{"linear", scale_linear},
    Scaling{"llama3", scale_llama3},
    Scaling{"llama3_factors", scale_llama3_factors},
    Scaling{"longrope", scale_longrope},
    Scaling{"su", scale_longrope},
    Scaling{"yarn", scale_yarn},
};

// ERRORS: invalid_model when the rotated dimensions do not form pairs.
int rotated_dims(const ConfigReader& parameters, const RopeContext& context) {
  constexpr std::string_view kKey = "partial_rotary_factor";
  const double part =
      parameters.number_or(kKey, kPartialRotaryRange, context.partial_rotary_factor);
  const int num_dims = static_cast<int>(context.head_dim * part);
  if (num_dims >= 2 && num_dims % 2 == 0) return num_dims;
  throw parameters.invalid(
      kKey,
      fmt::format(
          "{} rotates {} of a head's {} dimensions; needed is an even number",
          part,
          num_dims,
          context.head_dim
      )
  );
}

}  // namespace

RopeSpec make_rope(const std::optional<ConfigReader>& parameters, const RopeContext& context) {
  const json::object none;
  const ConfigReader reader = parameters.value_or(ConfigReader(none, context.where));
  RopeSpec rope;
  rope.num_dims = rotated_dims(reader, context);
  const double theta = reader.number_or("rope_theta", kThetaRange, context.theta);
  const std::string type = rope_type_of(reader);
  const auto scaling =
      std::find_if(kScalings.begin(), kScalings.end(), [&](const Scaling& candidate) {
        return candidate.name == type;
      });
  if (scaling == kScalings.end()) {
    throw reader.unsupported(
        "rope_type",
        fmt::format(
            "{} is not implemented; there are default, linear, llama3, longrope and yarn",
            json_quote(type)
        )
    );
  }
  scaling->apply({reader, context, theta, base_frequencies(theta, rope.num_dims)}, rope);
  return rope;
}

int scaled_context_length(
    const std::optional<ConfigReader>& parameters, const RopeContext& context
) {
  if (!parameters || rope_type_of(*parameters) != "yarn") return context.context_length;
  const double reached =
      yarn_factor(*parameters, context) * original_context_of(*parameters, context);
  const double longest = std::min(reached, static_cast<double>(kTokensRange.max));
  return std::max(context.context_length, static_cast<int>(longest));
}

}  // namespace mlxs
