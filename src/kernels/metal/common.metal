// What the kernels share. MLXS_HALF is 0 for bfloat, 1 for half: the type of activations. In front
// of it stand
// `#include <metal_stdlib>` and `using namespace metal`, written by whoever joins a program.
#if MLXS_HALF == 0
typedef bfloat Half;
#else
typedef half Half;
#endif

constant constexpr float kMinusInfinity =
    -3.0e38f;  // finite, so that differences of two stay numbers

inline float activate(float gate, int activation) {
  if (activation == 0) return gate / (1.0f + fast::exp(-gate));
  const float inner = 0.7978845608f * (gate + 0.044715f * gate * gate * gate);
  return 0.5f * gate * (1.0f + precise::tanh(inner));
}
