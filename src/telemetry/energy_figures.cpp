// Joules a token are this counter's rate by that of the tokens: one query, docs/MONITORING.md has
// it.
#include "telemetry/energy.h"
#include "telemetry/exposition_parts.h"
#include "telemetry/family_list.h"

namespace mlxs {

void add_energy_figures(const EnergyMeter& energy, FamilyList& list) {
  for (const EnergyReading& reading : energy.read()) {
    list.counter(
        {"mlx_serving_energy_joules_total",
         "Energy that the whole of a package or GPU has used since the server started."},
        {{"domain", reading.domain}},
        reading.joules
    );
  }
}

}  // namespace mlxs
