// Row kernels for the path avx2.
#define MLXS_ROW_KERNELS kRowAvx2
#include "kernels/rows/row_kernel.inc"
