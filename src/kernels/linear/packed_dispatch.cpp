// One case a path.
#include "kernels/linear/packed_dispatch.h"

namespace mlxs {

PackedKernels packed_kernels(CpuPath path) {
  switch (path) {
#if defined(__x86_64__)
    case CpuPath::avx2:
      return packed_kernels_avx2();
    case CpuPath::avx512:
      return packed_kernels_avx512();
    case CpuPath::avx512_vnni:
      return packed_kernels_avx512_vnni();
#elif defined(__aarch64__)
    case CpuPath::neon:
      return packed_kernels_neon();
    case CpuPath::neon_dot:
      return packed_kernels_neon_dot();
#endif
    default:
      return packed_kernels_baseline();
  }
}

InputForm input_form_of(CpuPath path, Precision precision, PackedFormat format) {
  const bool is_affine = format == PackedFormat::affine4 || format == PackedFormat::affine8;
  // Exact is as near as float32 sums are: 16-bit activations miss the golden logits by a quarter of
  // their tolerance.
  if (!is_affine || precision == Precision::exact) return InputForm::float32;
  const bool lacks_halves = path == CpuPath::neon || path == CpuPath::neon_dot;
  if (precision == Precision::balanced) return lacks_halves ? InputForm::float32 : InputForm::int16;
  // Their 8-bit products saturate with 8-bit weights, and 16-bit ones cost no more.
  const bool lacks_bytes =
      path == CpuPath::baseline || path == CpuPath::avx2 || path == CpuPath::avx512;
  return format == PackedFormat::affine8 && lacks_bytes ? InputForm::int16 : InputForm::int8;
}

}  // namespace mlxs
