// The reference is MLX's own fused operation.
#include "kernels/rms_norm/rms_norm.h"

#include <mlx/fast.h>
#include <mlx/ops.h>

namespace mlxs {

mx::array rms_norm(const mx::array& x, const mx::array& weight, float eps) {
  return mx::astype(mx::fast::rms_norm(x, weight, eps), x.dtype());
}

}  // namespace mlxs
