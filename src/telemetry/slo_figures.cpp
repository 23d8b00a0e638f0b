// Names of our own: targets and how fast they burn.
#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

#include "telemetry/collector.h"
#include "telemetry/exposition.h"
#include "telemetry/exposition_parts.h"
#include "telemetry/family_list.h"
#include "telemetry/slo_monitor.h"

namespace mlxs {
namespace {

constexpr std::array<std::pair<std::chrono::seconds, const char*>, 3> kWindows = {{
    {std::chrono::minutes(1), "1m"},
    {std::chrono::minutes(5), "5m"},
    {std::chrono::hours(1), "1h"},
}};

}  // namespace

void add_slo_figures(const ModelFigures& model, FamilyList& list) {
  const SloMonitor& slo = model.collector.slo();
  for (std::size_t i = 0; i < kSloNames.size(); ++i) {
    for (const auto& [window, name] : kWindows) {
      const auto rate = slo.burn_rate(static_cast<SloKind>(i), window);
      if (!rate) continue;
      list.gauge(
          {"mlx_serving_slo_burn_rate",
           "Missed share over a window, by the share that may be missed: above 1 the target will "
           "not be kept."},
          {{"model", model.info.name}, {"target", std::string(kSloNames[i])}, {"window", name}},
          *rate
      );
    }
  }
  const SloTargets& targets = slo.targets();
  const FamilyName seconds = {"mlx_serving_slo_target_seconds", "Times that are promised."};
  if (slo.has(SloKind::first_token))
    list.gauge(
        seconds,
        {{"model", model.info.name}, {"target", "first_token"}},
        targets.first_token_ms / 1e3
    );
  if (slo.has(SloKind::next_token))
    list.gauge(
        seconds, {{"model", model.info.name}, {"target", "next_token"}}, targets.next_token_ms / 1e3
    );
}

}  // namespace mlxs
