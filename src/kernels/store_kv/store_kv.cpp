// The in-place primitive for the CPU, and the reference by scatter that a GPU runs until it has a
// kernel of its own.
#include "kernels/store_kv/store_kv.h"

#include <mlx/backend/cpu/encoder.h>
#include <mlx/ops.h>
#include <mlx/primitives.h>
#include <mlx/utils.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>
#include <utility>

namespace mlxs {
namespace {

// What the task on MLX's stream thread needs. MLX keeps the inputs' buffers alive until the task is
// done.
struct StoreTask {
  std::byte* pool = nullptr;
  const std::byte* rows = nullptr;
  const std::int32_t* slots = nullptr;
  std::size_t num_rows = 0;
  std::size_t num_slots = 0;
  std::size_t row_bytes = 0;

  void operator()() const {
    for (std::size_t row = 0; row < num_rows; ++row) {
      if (slots[row] < 0 || static_cast<std::size_t>(slots[row]) >= num_slots) {
        throw std::out_of_range(
            "[store_kv] slot " + std::to_string(slots[row]) + " of " + std::to_string(num_slots)
        );
      }
    }
    for (std::size_t row = 0; row < num_rows; ++row) {
      std::memcpy(
          pool + static_cast<std::size_t>(slots[row]) * row_bytes, rows + row * row_bytes, row_bytes
      );
    }
  }
};

class StoreKv final : public mx::UnaryPrimitive {
 public:
  explicit StoreKv(mx::Stream stream) : UnaryPrimitive(stream) {}

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& out) override {
    const mx::array& pool = inputs[0];
    const mx::array& rows = inputs[1];
    const mx::array& slots = inputs[2];
    if (!pool.flags().row_contiguous || !rows.flags().row_contiguous ||
        !slots.flags().row_contiguous) {
      throw std::invalid_argument("[store_kv] the arrays must be row-major");
    }
    out.copy_shared_buffer(pool);
    const StoreTask task{
        .pool = out.data<std::byte>(),
        .rows = rows.data<std::byte>(),
        .slots = slots.data<std::int32_t>(),
        .num_rows = slots.size(),
        .num_slots =
            static_cast<std::size_t>(pool.shape(0)) * static_cast<std::size_t>(pool.shape(1)),
        .row_bytes = rows.nbytes() / std::max<std::size_t>(slots.size(), 1)
    };
    // The buffer is shared with `out`, which MLX does not hold on to itself.
    mx::cpu::get_command_encoder(stream()).dispatch([task, buffer = out.data_shared_ptr()] {
      task();
    });
  }

  void eval_gpu(const std::vector<mx::array>& /*inputs*/, mx::array& /*out*/) override {
    throw std::logic_error("[store_kv] has no GPU kernel; store_kv() builds the reference there");
  }

  const char* name() const override { return "StoreKv"; }
};

void check(const mx::array& pool, const mx::array& rows, const mx::array& slots) {
  const bool fits = pool.ndim() == 4 && rows.ndim() == 3 && slots.ndim() == 1 &&
                    slots.dtype() == mx::int32 && rows.shape(0) == slots.shape(0) &&
                    rows.shape(1) == pool.shape(2) && rows.shape(2) == pool.shape(3);
  if (!fits)
    throw std::invalid_argument(
        "[store_kv] needs pool [P, S, Hkv, D], rows [T, Hkv, D], slots [T] int32"
    );
}

}  // namespace

mx::array store_kv_reference(const mx::array& pool, const mx::array& rows, const mx::array& slots) {
  check(pool, rows, slots);
  const int num_slots = pool.shape(0) * pool.shape(1);
  const mx::array flat = mx::reshape(pool, {num_slots, pool.shape(2), pool.shape(3)});
  const mx::array updates = mx::expand_dims(mx::astype(rows, pool.dtype()), 1);
  return mx::reshape(mx::scatter(flat, slots, updates, 0), pool.shape());
}

mx::array store_kv(const mx::array& pool, const mx::array& rows, const mx::array& slots) {
  const mx::Stream stream = mx::to_stream({});
  if (stream.device == mx::Device::gpu) return store_kv_reference(pool, rows, slots);
  check(pool, rows, slots);
  std::vector<mx::array> inputs{
      pool, mx::contiguous(mx::astype(rows, pool.dtype())), mx::contiguous(slots)
  };
  return mx::array(
      pool.shape(), pool.dtype(), std::make_shared<StoreKv>(stream), std::move(inputs)
  );
}

QuantizedRows quantize_kv(const mx::array& rows) {
  const mx::array values = mx::astype(rows, mx::float32);
  // A sum would overflow and a maximum may drop a NaN, so what is not finite is looked for itself.
  const mx::array is_finite = mx::all(mx::isfinite(values), -1, /*keepdims=*/true);
  const mx::array largest = mx::max(mx::abs(values), -1, /*keepdims=*/true);
  const mx::array zero(0.0F);
  // The quotient of a subnormal maximum overflows: such a head is stored as zeros.
  const mx::array inverse = mx::array(127.0F) / largest;
  const mx::array is_usable = mx::logical_and(is_finite, mx::isfinite(inverse));
  const mx::array scaled = mx::round(values * mx::where(is_usable, inverse, zero));
  const mx::array stored = mx::astype(mx::where(is_usable, scaled, zero), mx::int8);
  const mx::array not_a_number(std::numeric_limits<float>::quiet_NaN());
  const mx::array scale = mx::where(is_usable, largest * mx::array(1.0F / 127.0F), zero);
  return {.rows = stored, .scales = mx::where(is_finite, scale, not_a_number)};
}

void store_kv(
    KvLayer& pool, const mx::array& keys, const mx::array& values, const mx::array& slots
) {
  if (!pool.is_quantized()) {
    pool.keys = store_kv(pool.keys, keys, slots);
    pool.values = store_kv(pool.values, values, slots);
    return;
  }
  const QuantizedRows quantized_keys = quantize_kv(keys);
  const QuantizedRows quantized_values = quantize_kv(values);
  pool.keys = store_kv(pool.keys, quantized_keys.rows, slots);
  pool.values = store_kv(pool.values, quantized_values.rows, slots);
  pool.key_scales = store_kv(*pool.key_scales, quantized_keys.scales, slots);
  pool.value_scales = store_kv(*pool.value_scales, quantized_values.scales, slots);
}

}  // namespace mlxs
