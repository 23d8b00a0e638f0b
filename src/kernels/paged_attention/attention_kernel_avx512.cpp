// Paged attention with AVX-512.
#define MLXS_ATTENTION_KERNELS kAttentionAvx512
#include "kernels/paged_attention/attention_kernel.inc"
