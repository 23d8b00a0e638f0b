// Passes over logits for the path avx512.
#define MLXS_TOKEN_KERNELS kTokenAvx512
#include "kernels/choose_token/token_kernel.inc"
