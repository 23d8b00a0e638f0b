// What the CPU's kernels of one model share: threads, the path, the precision and a step's memory.
#pragma once

#include "kernels/cpu/cpu_path.h"
#include "kernels/cpu/phase_times.h"
#include "kernels/cpu/scratch_arena.h"
#include "kernels/worker_team.h"
#include "mlx_serving/config.h"

namespace mlxs {

struct CpuOptions {
  int num_threads = 0;  // 0: as many as this process may use
  Precision precision = Precision::exact;
  CpuPath path = cpu_path_from_environment();
};

// One a model, passed on as a shared_ptr, as products that MLX still has queued outlive the model.
// THREADS: one step at a time.
struct CpuContext {
  explicit CpuContext(const CpuOptions& options)
      : team(options.num_threads), path(options.path), precision(options.precision) {}

  WorkerTeam team;
  CpuPath path;
  Precision precision;
  ScratchArena scratch;
  PhaseTimes times;
};

}  // namespace mlxs
