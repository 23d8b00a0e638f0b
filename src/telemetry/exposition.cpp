// Gathers the parts and writes them out.
#include "telemetry/exposition.h"

#include <prometheus/text_serializer.h>

#include <span>
#include <sstream>
#include <string>

#include "telemetry/exposition_parts.h"
#include "telemetry/family_list.h"

namespace mlxs {

std::string exposition(
    std::span<const ModelFigures> models, const ProcessFigures& process, MetricNames names
) {
  FamilyList list;
  for (const ModelFigures& model : models) {
    if (names != MetricNames::vllm) {
      add_request_figures(model, list);
      add_engine_figures(model, list);
      add_slo_figures(model, list);
    }
    if (names != MetricNames::own) add_vllm_figures(model, list);
  }
  add_http_figures(process.http, list);
  add_energy_figures(process.energy, list);
  add_process_figures(list);
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, list.families());
  return out.str();
}

}  // namespace mlxs
