// packed_linear() for AArch64 with the dot product; the build gives this file the flags.
#define MLXS_HAS_DOT 1
#define MLXS_PACKED_KERNELS packed_kernels_neon_dot
#include "kernels/linear/packed_kernel_neon.inc"
