// The residual stream's step between two products: adds a block's result, normed where the family
// asks for it, and norms for the next block. A threadgroup of 256 threads a row; 32 bytes of
// threadgroup memory.
//
// Intensity: about 6 operations for each 2 to 8 bytes: bound by memory, and by the launch where
// there are few rows.
constant constexpr int kNormThreads = 256;

// The sum over the threadgroup, in all of its threads; `parts` may be used again after it.
inline float threadgroup_sum(float value, threadgroup float* parts, uint index) {
  const float sum = simd_sum(value);
  if (index % 32 == 0) parts[index / 32] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float total = 0.0f;
  for (int i = 0; i < kNormThreads / 32; ++i) total += parts[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return total;
}

inline float inverse_norm(
    const device Half* row, const constant NormParams& p, threadgroup float* parts, uint index
) {
  float sum = 0.0f;
  for (int i = int(index); i < p.num_columns; i += kNormThreads)
    sum += float(row[i]) * float(row[i]);
  return precise::rsqrt(threadgroup_sum(sum, parts, index) / float(p.num_columns) + p.eps);
}

kernel void norm_rows(
    device Half* x [[buffer(0)]],                  // [R, E]; replaced where has_y
    const device Half* y [[buffer(1)]],            // [R, E]
    const device Half* post_weight [[buffer(2)]],  // [E]
    const device Half* pre_weight [[buffer(3)]],   // [E]; without it `out` is a copy of x'
    device Half* out [[buffer(4)]],                // [R, E]
    const constant NormParams& p [[buffer(5)]],
    uint row [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]]
) {
  threadgroup float parts[8];
  const long at = long(row) * p.num_columns;
  x += at;
  y += at;
  out += at;
  // Each thread reads and writes columns of its own; only the sums cross.
  if (p.has_y != 0) {
    const float factor = p.has_post_weight != 0 ? inverse_norm(y, p, parts, index) : 1.0f;
    for (int i = int(index); i < p.num_columns; i += kNormThreads) {
      float value = float(y[i]);
      if (p.has_post_weight != 0) value *= factor * float(post_weight[i]);
      x[i] = Half(float(x[i]) + value);
    }
  }
  if (p.has_out == 0) return;
  const float factor = p.has_pre_weight != 0 ? inverse_norm(x, p, parts, index) : 1.0f;
  for (int i = int(index); i < p.num_columns; i += kNormThreads)
    out[i] = p.has_pre_weight != 0 ? Half(float(x[i]) * factor * float(pre_weight[i])) : x[i];
}
