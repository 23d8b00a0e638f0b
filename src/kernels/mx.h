// The name `mx` for MLX's namespace, and the array type; whoever calls operations includes
// <mlx/ops.h> as well.
#pragma once

#include <mlx/array.h>

namespace mlxs {

namespace mx = ::mlx::core;

}  // namespace mlxs
