// linear() for x86-64 with AVX2 and FMA; the build gives this file the flags.
#define MLXS_LINEAR_KERNEL linear_kernel_avx2
#include "kernels/linear/linear_kernel.inc"
