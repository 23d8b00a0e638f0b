// Passes over logits for the path baseline.
#define MLXS_TOKEN_KERNELS kTokenBaseline
#include "kernels/choose_token/token_kernel.inc"
