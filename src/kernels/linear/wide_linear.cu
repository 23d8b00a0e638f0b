// Products of quantized weights for more rows than a thread can hold: two warpgroups multiply 128
// or 256 outputs with a tile of rows, both brought to shared memory in stages of 128 columns that
// are on their way while earlier ones are multiplied. Weights are expanded in registers, once for
// all rows of the tile, and are the left operand. The columns may be split over blocks, of which
// the last to arrive adds the parts up, always in the same order.
//
// x comes as order_columns() writes it. grid: (tiles of rows, tiles of outputs, splits); block: 256
// threads; dynamic shared memory: all slots of a WideBlock. Uses linear.cuh and
// warpgroup.cuh.
namespace mlxs::cuda {

constexpr int kWideThreads = 256;
constexpr int kStageColumns = 128;
constexpr int kWeightUnits = kStageColumns * MLXS_WEIGHT_BITS / 128;  // of 16 bytes in a row
constexpr int kStageChunks = kStageColumns / kColumnsPerChunk;

// The column of x that lies at a place of its ordered form.
__device__ __forceinline__ int ordered_column(int place) {
  const int inside = place % kColumnsPerChunk;
  const int part = inside / 32;
  const int k = inside % 16;  // of a product of 16 columns
  const int lane = k % 8 / 2;
  const int pair = inside % 32 / 16 * 2 + k / 8;
  const int column = MLXS_WEIGHT_BITS == 4 ? pair + 4 * (k % 2) : 2 * pair + k % 2;
  return place - inside + lane * kColumnsPerThread + part * 8 + column;
}

// Where a unit of a row of weights lies: eight lanes that read together meet different banks.
__device__ __forceinline__ int weight_place(int row, int unit) {
  return row * kWeightUnits + (kWeightUnits == 4 ? unit : unit ^ ((row & 1) << 2));
}

template <int kRows, Finish kFinish>
struct WideBlock {
  static constexpr int kTiles = kFinish == Finish::gated ? 2 : 1;  // of 64 outputs of a warpgroup
  static constexpr int kWideOutputs = 128 * kTiles;
  static constexpr int kLaneRows = 2 * kTiles;  // of weights that a lane has in its fragments
  // Stages that are here or on their way: what the shared memory of a processor, or of half of one,
  // holds.
  static constexpr int kSlots =
      MLXS_WEIGHT_BITS == 4 ? (kRows == 64 ? 5 : 4) : (kRows == 128 ? 3 : 4);
  static constexpr int kSlabBytes = 128 * kRows;  // of 64 columns
  static constexpr int kInputBytes = 2 * kSlabBytes;
  static constexpr int kStageBytes = kInputBytes + 16 * kWeightUnits * kWideOutputs;
  static constexpr int kSums = kTiles * kRows / 2;  // of a thread

  const LinearParams& p;
  unsigned char* shared;
  int first_row;
  int block;              // of outputs
  ByteBarrier* barriers;  // one a slot

  // The output of a row of the block's weights.
  __device__ __forceinline__ int output_of(int row) const {
    if constexpr (kFinish == Finish::gated)
      return kWideOutputs / 2 * block + row / 128 * 64 + row % 64 + row / 64 % 2 * p.gate_offset;
    return kWideOutputs * block + row;
  }

  static constexpr int kRowsAtOnce = kWideThreads / kWeightUnits;
  static constexpr int kWeightCopies = kWideOutputs / kRowsAtOnce;  // of a thread and stage

  // Where a thread's copies of weights begin, in bytes from the first; all ones past the end.
  struct WeightOffsets {
    unsigned int of[kWeightCopies];
  };

  __device__ __forceinline__ WeightOffsets find_weights() const {
    const int thread = static_cast<int>(threadIdx.x);
    WeightOffsets offsets;
#pragma unroll
    for (int i = 0; i < kWeightCopies; ++i) {
      const int output = output_of(thread / kWeightUnits + i * kRowsAtOnce);
      const unsigned int pitch = static_cast<unsigned int>(p.num_columns) * MLXS_WEIGHT_BITS / 8;
      offsets.of[i] = output < p.num_outputs
                          ? static_cast<unsigned int>(output) * pitch + thread % kWeightUnits * 16
                          : 0xffffffffU;
    }
    return offsets;
  }

  __device__ __forceinline__ void start_weights(const WeightOffsets& offsets, int stage, int slot)
      const {
    const int thread = static_cast<int>(threadIdx.x);
    const int row = thread / kWeightUnits;
    const int unit = thread % kWeightUnits;
    const bool has_column = stage * kStageColumns + unit * (128 / MLXS_WEIGHT_BITS) < p.num_columns;
    const char* source = static_cast<const char*>(p.weight) + stage * (16 * kWeightUnits);
    // Rows that follow at this distance have one swizzle.
    static_assert(kRowsAtOnce % 2 == 0);
    unsigned char* target =
        shared + slot * kStageBytes + kInputBytes + 16 * weight_place(row, unit);
#pragma unroll
    for (int i = 0; i < kWeightCopies; ++i) {
      start_copy(
          target + 16 * kWeightUnits * kRowsAtOnce * i,
          source + offsets.of[i],
          has_column && offsets.of[i] != 0xffffffffU
      );
    }
  }

  // By one thread.
  __device__ __forceinline__ void start_inputs(int stage, int slot) const {
    const int num_groups = (p.num_rows + 7) / 8;
    const int first_group = first_row / 8;
    const int count = num_groups - first_group < kRows / 8 ? num_groups - first_group : kRows / 8;
    announce_bytes(barriers + slot, 2 * 1024 * count);
#pragma unroll
    for (int slab = 0; slab < 2; ++slab) {
      const long long at = static_cast<long long>(2 * stage + slab) * num_groups + first_group;
      start_bytes(
          shared + slot * kStageBytes + slab * kSlabBytes,
          static_cast<const unsigned char*>(p.x) + 1024 * at,
          1024 * count,
          barriers + slot
      );
    }
  }

  // The row of the block's weights that a lane's i-th fragment row is: two of each tile.
  __device__ __forceinline__ int weight_row(int i) const {
    const int warp = static_cast<int>(threadIdx.x) / 32;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    return warp / 4 * 64 * kTiles + i / 2 * 64 + warp % 4 * 16 + i % 2 * 8 + lane / 4;
  }

  struct Scales {
    unsigned int scale[kStageChunks][kLaneRows];
    unsigned int bias[kStageChunks][kLaneRows];
  };

  // The number of the first scale of each of a lane's rows; -1 past the end.
  struct ScaleRows {
    int of[kLaneRows];
  };

  __device__ __forceinline__ ScaleRows find_scales() const {
    ScaleRows rows;
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      const int output = output_of(weight_row(i));
      rows.of[i] = output < p.num_outputs ? output * (p.num_columns / MLXS_GROUP_SIZE) : -1;
    }
    return rows;
  }

  __device__ __forceinline__ Scales load_scales(const ScaleRows& rows, int stage) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    Scales result;
#pragma unroll
    for (int chunk = 0; chunk < kStageChunks; ++chunk) {
      const int column =
          stage * kStageColumns + chunk * kColumnsPerChunk + lane % 4 * kColumnsPerThread;
#pragma unroll
      for (int i = 0; i < kLaneRows; ++i) {
        const int at = rows.of[i] + column / MLXS_GROUP_SIZE;
        const bool is_inside = rows.of[i] >= 0 && column < p.num_columns;
        result.scale[chunk][i] = is_inside ? static_cast<const Half*>(p.scales)[at] : 0;
        result.bias[chunk][i] = is_inside ? static_cast<const Half*>(p.biases)[at] : 0;
      }
    }
    return result;
  }

  __device__ __forceinline__ void multiply_stage(
      int slot, const Scales& scales, float (&sums)[kTiles][kRows / 2]
  ) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const unsigned char* inputs = shared + slot * kStageBytes;
    const Vec4* weights = reinterpret_cast<const Vec4*>(inputs + kInputBytes);
#pragma unroll
    for (int chunk = 0; chunk < kStageChunks; ++chunk) {
      Vec4 packed[kLaneRows];
      unsigned int scale[kLaneRows];
      unsigned int bias[kLaneRows];
#pragma unroll
      for (int i = 0; i < kLaneRows; ++i) {
        packed[i] = weights[weight_place(weight_row(i), 4 * chunk + lane % 4)];
        scale[i] = repeat_half(static_cast<Half>(scales.scale[chunk][i]));
        bias[i] = repeat_half(static_cast<Half>(scales.bias[chunk][i]));
      }
#pragma unroll
      for (int part = 0; part < kColumnsPerThread / 8; ++part) {
        unsigned int left[kTiles][2][4];
#pragma unroll
        for (int i = 0; i < kLaneRows; ++i) {
          const Expanded row = expand(packed[i], part, scale[i], bias[i]);
#pragma unroll
          for (int step = 0; step < 2; ++step) {
            left[i / 2][step][i % 2] = row.pair[2 * step];
            left[i / 2][step][i % 2 + 2] = row.pair[2 * step + 1];
          }
        }
        const int place = chunk * kColumnsPerChunk + part * 32;
        open_group();
#pragma unroll
        for (int step = 0; step < 2; ++step) {
#pragma unroll
          for (int tile = 0; tile < kTiles; ++tile) {
            multiply_group<kRows>(
                sums[tile],
                left[tile][step],
                inputs + place / 64 * kSlabBytes,
                place % 64 / 16 + step
            );
          }
        }
        close_group();
        await_group<1>();
      }
    }
  }

  // RETURNS: whether this block has the sums of all splits.
  __device__ __forceinline__ bool join_splits(float* sums) const {
    __shared__ unsigned int num_arrived;
    const int tile = static_cast<int>(blockIdx.y * gridDim.x + blockIdx.x);
    float* parts = p.partials + static_cast<long long>(tile) * p.num_splits * kSums * kWideThreads +
                   threadIdx.x;
#pragma unroll
    for (int i = 0; i < kSums; ++i)
      parts[(static_cast<int>(blockIdx.z) * kSums + i) * kWideThreads] = sums[i];
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) num_arrived = atomicAdd(p.arrivals + tile, 1U);
    __syncthreads();
    if (num_arrived != static_cast<unsigned int>(p.num_splits - 1)) return false;
    __threadfence();
#pragma unroll
    for (int i = 0; i < kSums; ++i) sums[i] = 0.0F;
    for (int split = 0; split < p.num_splits; ++split) {
#pragma unroll
      for (int i = 0; i < kSums; ++i) sums[i] += parts[(split * kSums + i) * kWideThreads];
    }
    if (threadIdx.x == 0) p.arrivals[tile] = 0;
    return true;
  }

  __device__ __forceinline__ void multiply_stages(
      int begin, int end, float (&sums)[kTiles][kRows / 2]
  ) const {
    // A slot is filled again two stages after its last product was issued.
    constexpr int kAhead = kSlots - 2;
    const bool is_first = threadIdx.x == 0;
    const WeightOffsets offsets = find_weights();
    const ScaleRows scale_rows = find_scales();
    // The weights do not depend on what ran before.
    for (int i = 0; i < kAhead; ++i) {
      if (begin + i < end) start_weights(offsets, begin + i, i);
      close_copies();
    }
    Scales scales = load_scales(scale_rows, begin);
    await_previous();
    for (int i = 0; is_first && i < kAhead && begin + i < end; ++i) start_inputs(begin + i, i);
    int slot = 0;
    int parity = 0;
    for (int stage = begin; stage < end; ++stage) {
      await_copies<kAhead - 1>();
      __syncthreads();
      if (stage + kAhead < end) {
        const int free_slot = slot + kAhead < kSlots ? slot + kAhead : slot - 2;
        if (is_first) start_inputs(stage + kAhead, free_slot);
        start_weights(offsets, stage + kAhead, free_slot);
      }
      close_copies();
      const Scales now = scales;
      if (stage + 1 < end) scales = load_scales(scale_rows, stage + 1);
      await_bytes(barriers + slot, parity);
      multiply_stage(slot, now, sums);
      slot = slot + 1 < kSlots ? slot + 1 : 0;
      parity = slot == 0 ? parity ^ 1 : parity;
    }
    await_group<0>();
#pragma unroll
    for (int i = 0; i < kSums; ++i) settle(sums[i / (kRows / 2)][i % (kRows / 2)]);
  }

  __device__ __forceinline__ void run() const {
    const int num_stages = (p.num_columns + kStageColumns - 1) / kStageColumns;
    const int share = (num_stages + p.num_splits - 1) / p.num_splits;
    const int begin = static_cast<int>(blockIdx.z) * share;
    const int end = begin + share < num_stages ? begin + share : num_stages;
    Sums<kTiles, kRows / 8> sums;
    float(&flat)[kTiles][kRows / 2] = reinterpret_cast<float(&)[kTiles][kRows / 2]>(sums.of);
#pragma unroll
    for (int i = 0; i < kSums; ++i) flat[i / (kRows / 2)][i % (kRows / 2)] = 0.0F;
    multiply_stages(begin, end, flat);
    if (p.num_splits > 1 && !join_splits(&flat[0][0])) return;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    int outputs[kTiles];
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile)
      outputs[tile] = output_of(weight_row(2 * tile) - lane / 4);
    finish<kTiles, kRows / 8, kFinish>(p, outputs, first_row, sums);
  }
};

template <int kRows, Finish kFinish>
__device__ __forceinline__ void wide_linear(const LinearParams& p) {
  MLXS_DYNAMIC_SHARED(shared);
  using Block = WideBlock<kRows, kFinish>;
  __shared__ ByteBarrier barriers[Block::kSlots];
  let_next_start();
  if (threadIdx.x == 0) {
    for (int i = 0; i < Block::kSlots; ++i) make_barrier(barriers + i);
  }
  __syncthreads();
  const Block block{
      p, shared, static_cast<int>(blockIdx.x) * kRows, static_cast<int>(blockIdx.y), barriers
  };
  block.run();
}

}  // namespace mlxs::cuda

// x as wide products read it: for each stage of 128 columns two slabs of 64, with zeros up to whole
// stages; in a slab groups of eight rows of 128 bytes, swizzled; columns in the order of the
// weights' fragments. Rows up to whole groups are not written. grid: (groups of rows, stages);
// block: 128 threads.
extern "C" __global__ void __launch_bounds__(128) order_columns(mlxs::cuda::OrderParams p) {
  using namespace mlxs::cuda;
  let_next_start();
  await_previous();
  const int group = static_cast<int>(blockIdx.x);
  const int stage = static_cast<int>(blockIdx.y);
  const int slab = static_cast<int>(threadIdx.x) / 64;
  const int in_group = static_cast<int>(threadIdx.x) % 64 / 8;
  const int unit = static_cast<int>(threadIdx.x) % 8;
  const int row = 8 * group + in_group;
  if (row >= p.num_rows) return;
  const Half* x = static_cast<const Half*>(p.x) + static_cast<long long>(row) * p.num_columns;
  unsigned int pairs[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    Half halves[2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int column = stage * kStageColumns + ordered_column(64 * slab + 8 * unit + 2 * i + j);
      halves[j] = column < p.num_columns ? x[column] : static_cast<Half>(0);
    }
    pairs[i] = halves[0] | static_cast<unsigned int>(halves[1]) << 16;
  }
  const long long at = static_cast<long long>(2 * stage + slab) * gridDim.x + group;
  *reinterpret_cast<Vec4*>(
      static_cast<Half*>(p.out) + at * 512 + in_group * 64 + (unit ^ in_group) * 8
  ) = Vec4{pairs[0], pairs[1], pairs[2], pairs[3]};
}

#define MLXS_WIDE(ROWS, NAME, FINISH)                                   \
  extern "C" __global__ void __launch_bounds__(256, ROWS <= 32 ? 2 : 1) \
      wide_##ROWS##_##NAME(mlxs::cuda::LinearParams p) {                \
    mlxs::cuda::wide_linear<ROWS, mlxs::cuda::Finish::FINISH>(p);       \
  }
#define MLXS_WIDE_ALL(ROWS)           \
  MLXS_WIDE(ROWS, store, store)       \
  MLXS_WIDE(ROWS, residual, residual) \
  MLXS_WIDE(ROWS, float, store_float) \
  MLXS_WIDE(ROWS, gated, gated)

MLXS_WIDE_ALL(16)
MLXS_WIDE_ALL(32)
MLXS_WIDE_ALL(64)
MLXS_WIDE_ALL(128)
