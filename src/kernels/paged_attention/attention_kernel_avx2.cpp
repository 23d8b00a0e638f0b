// Paged attention with AVX2, FMA and F16C.
#define MLXS_ATTENTION_KERNELS kAttentionAvx2
#include "kernels/paged_attention/attention_kernel.inc"
