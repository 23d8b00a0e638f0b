// The cosines and sines of a step's rows, shared by its layers. A block for each row.
extern "C" __global__ void __launch_bounds__(128) rope_table(mlxs::cuda::RopeTableParams p) {
  mlxs::cuda::let_next_start();
  mlxs::cuda::await_previous();
  const int row = static_cast<int>(blockIdx.x);
  const bool is_long = p.inv_freq_long != nullptr && p.long_rows[row] != 0;
  const float* inv_freq = is_long ? p.inv_freq_long : p.inv_freq;
  const float position = static_cast<float>(p.positions[row]);
  for (int i = static_cast<int>(threadIdx.x); i < p.num_frequencies; i += 128) {
    const float angle = position * inv_freq[i];
    p.cos[row * p.num_frequencies + i] = cosf(angle) * p.factor;
    p.sin[row * p.num_frequencies + i] = sinf(angle) * p.factor;
  }
}
