// Row kernels for the path baseline.
#define MLXS_ROW_KERNELS kRowBaseline
#include "kernels/rows/row_kernel.inc"
