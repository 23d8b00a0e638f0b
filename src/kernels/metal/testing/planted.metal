// Kernels for the harness's own tests: one that is right, and the same with one mistake each.
// Includes nothing: the harness's names come before it.

// out [rows] = the sums of in [rows, columns]; one threadgroup of 128 threads a row.
kernel void row_sum(
    const device float* in [[buffer(0)]],
    device float* out [[buffer(1)]],
    const constant int& columns [[buffer(2)]],
    uint row [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd_group [[simdgroup_index_in_threadgroup]]
) {
  threadgroup float parts[4];
  float sum = 0;
  for (int i = int(index); i < columns; i += 128) sum += in[int(row) * columns + i];
  sum = simd_sum(sum);
  if (lane == 0) parts[simd_group] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (index == 0) out[row] = parts[0] + parts[1] + parts[2] + parts[3];
}

kernel void without_barrier(device float* out, uint index, uint lane, uint simd_group) {
  threadgroup float parts[4];
  if (lane == 0) parts[simd_group] = 1;
  if (index == 0) out[0] = parts[0] + parts[1] + parts[2] + parts[3];
}

// The barrier orders device memory only.
kernel void with_wrong_flags(device float* out, uint index, uint lane, uint simd_group) {
  threadgroup float parts[4];
  if (lane == 0) parts[simd_group] = 1;
  threadgroup_barrier(mem_flags::mem_device);
  if (index == 0) out[0] = parts[0] + parts[1] + parts[2] + parts[3];
}

// The next round's writes meet this round's reads.
kernel void without_second_barrier(device float* out, uint index, uint lane, uint simd_group) {
  threadgroup float parts[4];
  float total = 0;
  for (int round = 0; round < 2; ++round) {
    if (lane == 0) parts[simd_group] = float(round);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    total += parts[(simd_group + 1) % 4];
  }
  out[index] = total;
}

kernel void one_too_far(const device float* in, device float* out, int columns, uint index) {
  if (int(index) <= columns) out[index % 64] = in[index];
}

kernel void one_too_far_in_group(device float* out, uint index) {
  threadgroup float values[128];
  values[index + 1] = 1;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[index] = values[127 - index];
}

// Takes SIMD-groups for 64 lanes wide: half of the parts are never written.
kernel void with_wrong_width(const device float* in, device float* out, uint index) {
  threadgroup float parts[4];
  const float sum = simd_sum(in[index]);
  if (index % 64 == 0) parts[index / 32] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (index == 0) out[0] = parts[0] + parts[1] + parts[2] + parts[3];
}

kernel void with_divergent_barrier(device float* out, uint index) {
  out[index] = 1;
  if (index < 70) threadgroup_barrier(mem_flags::mem_threadgroup);
}

kernel void with_two_barriers(device float* out, uint simd_group, uint index) {
  if (simd_group == 0) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
  } else {
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  out[index] = 1;
}

kernel void with_divergent_sum(device float* out, uint index, uint lane) {
  float value = 1;
  if (lane < 7) {
    value = simd_sum(value);
  } else {
    value = simd_max(value);
  }
  out[index] = value;
}

kernel void from_returned_lane(device float* out, uint index, uint lane) {
  if (lane >= 16) return;
  out[index] = simd_shuffle_xor(float(lane), 16);
}

// Lanes hand values to their neighbours through memory without a word.
kernel void without_simd_barrier(device float* out, uint index) {
  threadgroup float values[128];
  values[index] = float(index);
  out[index] = values[index ^ 1];
}

kernel void between_threadgroups(device float* out, uint index, uint group) {
  if (index == 0) out[0] = float(group);
}

kernel void with_too_much_memory(device float* out, uint index) {
  threadgroup float values[8193];
  values[index] = 1;
  out[index] = values[index];
}

kernel void that_forgets_the_last(device float* out, int columns, uint index) {
  for (int i = int(index); i < columns - 1; i += 128) out[i] = 1;
}

// Counts with an atomic operation: no race.
kernel void count_threads(device metal::atomic_uint* counter) {
  metal::atomic_fetch_add_explicit(counter, 1u, metal::memory_order_relaxed);
}
