// The reference in plain MLX operations.
#include "kernels/swiglu/swiglu.h"

#include <mlx/ops.h>

#include <numbers>
#include <stdexcept>

namespace mlxs {
namespace {

mx::array scalar_like(double value, const mx::array& x) {
  return mx::array(static_cast<float>(value), x.dtype());
}

// The tanh approximation: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
mx::array gelu_tanh(const mx::array& x) {
  const double slope = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  const mx::array inner = scalar_like(slope, x) * (x + scalar_like(0.044715, x) * x * x * x);
  return scalar_like(0.5, x) * x * (scalar_like(1.0, x) + mx::tanh(inner));
}

}  // namespace

mx::array gated_activation(const mx::array& gate, const mx::array& up, Activation activation) {
  switch (activation) {
    case Activation::silu:
      return gate * mx::sigmoid(gate) * up;
    case Activation::gelu_tanh:
      return gelu_tanh(gate) * up;
  }
  throw std::invalid_argument("[gated_activation] unknown activation");
}

}  // namespace mlxs
