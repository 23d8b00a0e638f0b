// packed_linear() for x86-64 with AVX-512 and VNNI; the build gives this file the flags.
#define MLXS_HAS_VNNI 1
#define MLXS_PACKED_KERNELS packed_kernels_avx512_vnni
#include "kernels/linear/packed_kernel_avx512.inc"
