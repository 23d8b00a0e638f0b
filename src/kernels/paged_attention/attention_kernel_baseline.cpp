// Paged attention with what every processor of the architecture has.
#define MLXS_ATTENTION_KERNELS kAttentionBaseline
#include "kernels/paged_attention/attention_kernel.inc"
