// What a machine does at best, by all threads of a team: loops that do nothing else. Benches only.
#pragma once

#include "kernels/cpu/cpu_path.h"
#include "kernels/worker_team.h"

namespace mlxs {

// RETURNS: 10^9 bytes a second of memory that is in no cache.
[[nodiscard]] double measure_read_bandwidth(WorkerTeam& team);

// RETURNS: 10^9 operations a second, two a product, of the path's 8-bit dot products; 0: not known.
[[nodiscard]] double measure_int8_peak(WorkerTeam& team, CpuPath path);

// RETURNS: the same of its float32 multiply-add.
[[nodiscard]] double measure_float_peak(WorkerTeam& team, CpuPath path);

}  // namespace mlxs
