// Passes over logits for the path avx2.
#define MLXS_TOKEN_KERNELS kTokenAvx2
#include "kernels/choose_token/token_kernel.inc"
