// The four ways in which a GGUF scales its rotation: explicit factors (llama3), long and short
// factors (longrope), linear and yarn. Exactly one may be present.
#include "model/checkpoint/gguf_rope.h"

#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "base/json.h"
#include "model/checkpoint/file_error.h"
#include "model/checkpoint/gguf_config.h"
#include "model/checkpoint/gguf_header.h"

namespace mlxs {
namespace {

class RopeBuilder {
 public:
  RopeBuilder(
      const GgufMetadata& metadata, const GgufRopeInputs& inputs, const FactorReader& read_factors
  )
      : metadata_(metadata), inputs_(inputs), read_factors_(read_factors) {}

  void add_to(json::object& config) const {
    const double theta = number("freq_base").value_or(10000.0);
    if (theta <= 0.0)
      throw invalid_model(metadata_.file(), "key {} must be positive", key("freq_base"));
    config["rope_theta"] = theta;
    const auto original_context = metadata_.int32(key("scaling.original_context_length"));
    json::array names;
    json::object scaling;
    if (auto factors = factor_array("rope_freqs.weight")) {
      names.emplace_back("rope_freqs");
      scaling = {{"rope_type", "llama3_factors"}, {"factors", std::move(*factors)}};
    }
    auto long_factors = factor_array("rope_factors_long.weight");
    auto short_factors = factor_array("rope_factors_short.weight");
    if (long_factors.has_value() != short_factors.has_value()) {
      throw invalid_model(
          metadata_.file(),
          "only one of the tensors rope_factors_long and rope_factors_short exists"
      );
    }
    if (long_factors) {
      names.emplace_back("longrope");
      scaling = longrope(std::move(*long_factors), std::move(*short_factors));
      config["original_max_position_embeddings"] =
          original_context.value_or(inputs_.context_length);
    }
    if (json::object from_type = scaling_of_type(); !from_type.empty()) {
      names.push_back(from_type["rope_type"]);
      scaling = std::move(from_type);
    }
    if (names.size() > 1) {
      throw unsupported_model(
          metadata_.file(), "two rope scalings at once: {}", json::serialize(names)
      );
    }
    const bool has_attention_factor =
        long_factors || (!scaling.empty() && scaling["rope_type"] == "yarn");
    if (!has_attention_factor && number("scaling.attn_factor").value_or(1.0) != 1.0) {
      throw unsupported_model(
          metadata_.file(), "{} without yarn or longrope", key("scaling.attn_factor")
      );
    }
    if (!scaling.empty()) config["rope_scaling"] = std::move(scaling);
  }

 private:
  [[nodiscard]] std::string key(std::string_view name) const {
    return fmt::format("{}.rope.{}", inputs_.architecture, name);
  }

  [[nodiscard]] std::optional<double> number(std::string_view name) const {
    return metadata_.number(key(name));
  }

  [[nodiscard]] std::optional<json::array> factor_array(std::string_view tensor) const {
    const auto factors = read_factors_(tensor);
    if (!factors) return std::nullopt;
    if (factors->size() != static_cast<std::size_t>(inputs_.num_rotated) / 2) {
      throw invalid_model(
          metadata_.file(),
          "tensor {} has {} factors, {} are needed",
          tensor,
          factors->size(),
          inputs_.num_rotated / 2
      );
    }
    json::array result;
    for (const float factor : *factors) {
      if (!(std::isfinite(factor) && factor > 0.0F)) {
        throw invalid_model(
            metadata_.file(), "tensor {} has a factor that is not positive and finite", tensor
        );
      }
      result.emplace_back(double{factor});
    }
    return result;
  }

  [[nodiscard]] json::object longrope(json::array long_factors, json::array short_factors) const {
    json::object scaling = {
        {"rope_type", "longrope"},
        {"long_factor", std::move(long_factors)},
        {"short_factor", std::move(short_factors)},
    };
    if (const auto factor = number("scaling.attn_factor")) scaling["attention_factor"] = *factor;
    return scaling;
  }

  // RETURNS: an empty object for no scaling. longrope is described by its factors, not by the type.
  [[nodiscard]] json::object scaling_of_type() const {
    const auto type = metadata_.string(key("scaling.type"));
    double factor = number("scaling.factor").value_or(0.0);
    if (factor == 0.0) factor = number("scale_linear").value_or(0.0);
    if (factor < 0.0)
      throw invalid_model(metadata_.file(), "key {} is negative", key("scaling.factor"));
    if (type == "none" || type == "longrope") return {};
    if (!type || *type == "linear") {
      if (factor == 0.0 || factor == 1.0) return {};
      return {{"rope_type", "linear"}, {"factor", factor}};
    }
    if (*type == "yarn") return yarn(factor);
    throw unsupported_model(metadata_.file(), "the rope scaling type {}", quote_for_message(*type));
  }

  [[nodiscard]] json::object yarn(double factor) const {
    for (const std::string_view name : {"scaling.yarn_log_multiplier", "scaling.alpha"}) {
      if (number(name).value_or(0.0) != 0.0)
        throw unsupported_model(metadata_.file(), "yarn with {}", key(name));
    }
    for (const std::string_view name : {"scaling.yarn_ext_factor", "scaling.yarn_attn_factor"}) {
      if (number(name).value_or(1.0) != 1.0)
        throw unsupported_model(metadata_.file(), "yarn with {}", key(name));
    }
    if (factor < 1.0)
      throw invalid_model(metadata_.file(), "yarn needs a {} of at least 1", key("scaling.factor"));
    const auto original_context = metadata_.int32(key("scaling.original_context_length"));
    if (!original_context || *original_context == 0) {
      throw invalid_model(
          metadata_.file(), "yarn needs the key {}", key("scaling.original_context_length")
      );
    }
    json::object scaling = {
        {"rope_type", "yarn"},
        {"factor", factor},
        {"original_max_position_embeddings", *original_context},
    };
    if (const auto fast = number("scaling.yarn_beta_fast")) scaling["beta_fast"] = *fast;
    if (const auto slow = number("scaling.yarn_beta_slow")) scaling["beta_slow"] = *slow;
    // GGUF's factor multiplies yarn's own, Hugging Face's replaces it.
    if (const auto attention = number("scaling.attn_factor"); attention && *attention != 1.0) {
      scaling["attention_factor"] = *attention * (0.1 * std::log(factor) + 1.0);
    }
    return scaling;
  }

  const GgufMetadata& metadata_;
  const GgufRopeInputs& inputs_;
  const FactorReader& read_factors_;
};

}  // namespace

void add_gguf_rope(
    const GgufMetadata& metadata,
    const GgufRopeInputs& inputs,
    const FactorReader& read_factors,
    json::object& config
) {
  RopeBuilder(metadata, inputs, read_factors).add_to(config);
}

}  // namespace mlxs
