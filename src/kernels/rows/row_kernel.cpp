// From a path to its kernels.
#include "kernels/rows/row_kernel.h"

#include "kernels/cpu/cpu_path.h"

namespace mlxs {

const RowKernels& row_kernels(CpuPath path) {
  switch (path) {
#if defined(__x86_64__)
    case CpuPath::avx2:
      return kRowAvx2;
    case CpuPath::avx512:
    case CpuPath::avx512_vnni:
      return kRowAvx512;
#endif
    default:
      return kRowBaseline;
  }
}

}  // namespace mlxs
