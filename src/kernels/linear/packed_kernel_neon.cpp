// packed_linear() for any AArch64 processor.
#define MLXS_HAS_DOT 0
#define MLXS_PACKED_KERNELS packed_kernels_neon
#include "kernels/linear/packed_kernel_neon.inc"
