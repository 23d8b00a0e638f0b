// The cosines and sines of a step's rows, shared by its layers. A threadgroup of 128 threads a row;
// no threadgroup memory.
//
// Intensity: about 40 operations for each 12 bytes; a few kilobytes a step, so only the launch
// counts.
kernel void rope_table(
    const device int* positions [[buffer(0)]],        // [R]
    const device int* long_rows [[buffer(1)]],        // [R] 1: takes inv_freq_long
    const device float* inv_freq [[buffer(2)]],       // [num_frequencies]
    const device float* inv_freq_long [[buffer(3)]],  // the same where there is one kind
    device float* cosines [[buffer(4)]],              // [R, num_frequencies]
    device float* sines [[buffer(5)]],
    const constant RopeTableParams& p [[buffer(6)]],
    uint row [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]]
) {
  for (int i = int(index); i < p.num_frequencies; i += 128) {
    const float frequency = long_rows[row] != 0 ? inv_freq_long[i] : inv_freq[i];
    const float angle = float(positions[row]) * frequency;
    cosines[int(row) * p.num_frequencies + i] = precise::cos(angle) * p.factor;
    sines[int(row) * p.num_frequencies + i] = precise::sin(angle) * p.factor;
  }
}
