// Paged attention on the CPU: a batch cut into tasks that a team runs.
#pragma once

#include <vector>

#include "kernels/batch_view.h"
#include "kernels/cpu/cpu_context.h"
#include "kernels/paged_attention/attention_kernel.h"

namespace mlxs {

// RETURNS: the kernels of a path of available_cpu_paths().
[[nodiscard]] const AttentionKernels& attention_kernels(CpuPath path);

// As paged_attention(), for the rows of `batch` and the page tables of `group`; to problem.out. A
// row's result has the same bits in every batch, alone, and whether its sequence's tokens came in
// one chunk or in many. Takes room of the context's scratch. REQUIRES: the problem's type, sizes
// and pool belong together; the pool holds the batch's rows.
void run_paged_attention(
    CpuContext& context, const AttentionProblem& problem, const HostBatch& batch, int group
);

}  // namespace mlxs
