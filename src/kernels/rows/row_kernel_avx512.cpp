// Row kernels for the path avx512.
#define MLXS_ROW_KERNELS kRowAvx512
#include "kernels/rows/row_kernel.inc"
