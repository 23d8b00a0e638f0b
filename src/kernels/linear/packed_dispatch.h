// From a CpuPath to the kernels that were compiled for it.
#pragma once

#include "kernels/cpu/cpu_path.h"
#include "kernels/linear/packed_kernel.h"
#include "kernels/linear/packed_linear.h"

namespace mlxs {

// REQUIRES: a path of available_cpu_paths().
[[nodiscard]] PackedKernels packed_kernels(CpuPath path);

// RETURNS: what the product of a weight of this format reads on this path.
[[nodiscard]] InputForm input_form_of(CpuPath path, Precision precision, PackedFormat format);

}  // namespace mlxs
