// linear() for any processor of the target architecture.
#define MLXS_LINEAR_KERNEL linear_kernel_baseline
#include "kernels/linear/linear_kernel.inc"
