// The gate of an MLP whose two projections lie beside each other. grid: (columns / 256, rows); no
// threadgroup memory.
//
// Intensity: about 8 operations for each 6 bytes: bound by memory.
kernel void gate(
    const device Half* gate_up [[buffer(0)]],  // [R, 2 F]
    device Half* out [[buffer(1)]],            // [R, F]
    const constant GateParams& p [[buffer(2)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 place [[thread_position_in_threadgroup]]
) {
  const int column = int(group.x) * 256 + int(place.x);
  if (column >= p.num_columns) return;
  const device Half* gates = gate_up + long(group.y) * 2 * p.num_columns + column;
  out[long(group.y) * p.num_columns + column] =
      Half(activate(float(gates[0]), p.activation) * float(gates[p.num_columns]));
}
