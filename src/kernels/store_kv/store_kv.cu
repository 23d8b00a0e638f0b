// Norms, rotates and stores the rows of prompts: queries in place, keys and values to the pool.
//
// grid: (rows, ceil((H + 2 Hkv) / 4)); block: 128 threads, a warp for each head. `items` is as
// prefill_attention() has it; p.positions gives each row's position.
extern "C" __global__ void __launch_bounds__(128) store_rows(mlxs::cuda::AttentionParams p) {
  using namespace mlxs::cuda;
  let_next_start();
  await_previous();
  __shared__ float prepared[4][kHeadDim];
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int head = static_cast<int>(blockIdx.y) * 4 + warp;
  if (head >= p.num_heads + 2 * p.num_kv_heads) return;
  // items: [rows, 2] row, sequence
  const int row = p.items[2 * blockIdx.x];
  const int sequence = p.items[2 * blockIdx.x + 1];
  const int width = (p.num_heads + 2 * p.num_kv_heads) * kHeadDim;
  Half* source = static_cast<Half*>(p.qkv) + static_cast<long long>(row) * width + head * kHeadDim;
  float* values = prepared[warp];
  if (head < p.num_heads) {
    prepare_head(p, source, p.q_norm, row, values);
    for (int i = lane; i < kHeadDim; i += 32) source[i] = to_half(values[i]);
    return;
  }
  const int* table = p.page_tables + static_cast<long long>(sequence) * *p.page_stride;
  const int kv_head = (head - p.num_heads) % p.num_kv_heads;
  const long long target = pool_row(p, table, p.positions[row], kv_head);
  if (head < p.num_heads + p.num_kv_heads) {
    prepare_head(p, source, p.k_norm, row, values);
    store_head(p.keys, p.key_scales, target, values);
    return;
  }
  for (int i = lane; i < kHeadDim; i += 32) values[i] = to_float(source[i]);
  __syncwarp();
  store_head(p.values, p.value_scales, target, values);
}
