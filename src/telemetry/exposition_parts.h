// The parts of the exposition, each in a file of its own. Private to it.
#pragma once

#include "telemetry/energy.h"
#include "telemetry/exposition.h"
#include "telemetry/family_list.h"

namespace mlxs {

// Under names of our own: requests and their times; the engine beneath them.
void add_request_figures(const ModelFigures& model, FamilyList& list);
void add_engine_figures(const ModelFigures& model, FamilyList& list);
void add_slo_figures(const ModelFigures& model, FamilyList& list);
// What the machine tells of its energy. Where it tells nothing there are none.
void add_energy_figures(const EnergyMeter& energy, FamilyList& list);
// Under vLLM's names.
void add_vllm_figures(const ModelFigures& model, FamilyList& list);
// Of the HTTP server, under the names that vLLM's has.
void add_http_figures(const HttpMetrics& http, FamilyList& list);
// Of this process, under the names that Prometheus' own client libraries have. Where the system
// does not tell there are none.
void add_process_figures(FamilyList& list);

}  // namespace mlxs
