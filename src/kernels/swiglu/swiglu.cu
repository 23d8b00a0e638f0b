// The gate of an MLP whose two projections lie beside each other. grid: (blocks of columns, rows).
extern "C" __global__ void __launch_bounds__(256) gate(mlxs::cuda::GateParams p) {
  using namespace mlxs::cuda;
  let_next_start();
  await_previous();
  const long long row = blockIdx.y;
  const int column = (static_cast<int>(blockIdx.x) * 256 + static_cast<int>(threadIdx.x)) * 2;
  if (column >= p.num_columns) return;
  const Half* gates = static_cast<const Half*>(p.gate_up) + row * 2 * p.num_columns + column;
  const unsigned int g = *reinterpret_cast<const unsigned int*>(gates);
  const unsigned int u = *reinterpret_cast<const unsigned int*>(gates + p.num_columns);
  Half* out = static_cast<Half*>(p.out) + row * p.num_columns + column;
  *reinterpret_cast<unsigned int*>(out) = pack_halves(
      activate(low_float(g), p.activation) * low_float(u),
      activate(high_float(g), p.activation) * high_float(u)
  );
}

// Adds a bias to every row. grid: (blocks of columns, rows).
extern "C" __global__ void __launch_bounds__(256) add_bias(mlxs::cuda::BiasParams p) {
  using namespace mlxs::cuda;
  let_next_start();
  await_previous();
  const int column = static_cast<int>(blockIdx.x) * 256 + static_cast<int>(threadIdx.x);
  if (column >= p.num_columns) return;
  Half* out = static_cast<Half*>(p.out) + static_cast<long long>(blockIdx.y) * p.num_columns;
  out[column] = to_half(to_float(out[column]) + to_float(static_cast<const Half*>(p.bias)[column]));
}
