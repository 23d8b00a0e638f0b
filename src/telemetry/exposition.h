// The figures in Prometheus' text format: under names of our own, and under vLLM's, which boards
// and gateways made for it ask for. It counts nothing.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "mlx_serving/engine.h"

namespace mlxs {

class Collector;
class EnergyMeter;
class HttpMetrics;

// What is known of one model when somebody asks.
struct ModelFigures {
  const Collector& collector;
  const ModelInfo& info;
  EngineStats stats;
};

// What is known beside the models.
struct ProcessFigures {
  const HttpMetrics& http;
  const EnergyMeter& energy;
};

enum class MetricNames { all, own, vllm };

inline constexpr std::string_view kExpositionType = "text/plain; version=0.0.4; charset=utf-8";

// RETURNS: the text. Families are in a fixed order; a figure that is not known is absent, never 0.
[[nodiscard]] std::string exposition(
    std::span<const ModelFigures> models, const ProcessFigures& process, MetricNames names
);

}  // namespace mlxs
