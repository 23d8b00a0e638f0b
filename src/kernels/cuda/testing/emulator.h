// Runs a CUDA kernel's text on the CPU, one block after another and each thread as a fiber, so that
// a machine without a GPU tests the kernels' logic: indexing, fragments, barriers. It knows nothing
// of memory order or speed. A barrier that some threads of a block never reach is reported. Tests
// only.
#pragma once

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

#ifndef MLXS_HALF
#define MLXS_HALF 0
#endif
#define MLXS_EMULATED

namespace mlxs::cuda {

struct Index3 {
  unsigned int x = 0, y = 0, z = 0;
};

struct alignas(16) Vec4 {
  unsigned int x, y, z, w;
};
struct alignas(8) Vec2 {
  unsigned int x, y;
};

// One block at a time.
class Emulator {
 public:
  static Emulator& instance() {
    static Emulator emulator;
    return emulator;
  }

  void launch(Index3 grid, unsigned int num_threads, const std::function<void()>& body) {
    grid_ = grid;
    num_threads_ = num_threads;
    for (unsigned int z = 0; z < grid.z; ++z)
      for (unsigned int y = 0; y < grid.y; ++y)
        for (unsigned int x = 0; x < grid.x; ++x) {
          block_ = {x, y, z};
          run_block(body);
        }
  }

  [[nodiscard]] Index3 thread() const { return {current_, 0, 0}; }
  [[nodiscard]] Index3 block() const { return block_; }
  [[nodiscard]] Index3 grid() const { return grid_; }
  [[nodiscard]] Index3 block_size() const { return {num_threads_, 1, 1}; }

  void block_barrier() { wait(State::at_block_barrier); }
  void warp_barrier() { wait(State::at_warp_barrier); }

  // What lane `lane` of this warp passed in.
  std::uint32_t* slot(unsigned int lane) { return exchange_[current_ / 32 * 32 + lane]; }
  [[nodiscard]] unsigned int lane() const { return current_ % 32; }

 private:
  enum class State { ready, at_warp_barrier, at_block_barrier, done };
  static constexpr std::size_t kStackSize = 256 * 1024;
  static constexpr unsigned int kMaxThreads = 1024;

  struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    State state = State::ready;
  };

  static void enter() {
    Emulator& self = instance();
    self.body_();
    self.fibers_[self.current_].state = State::done;
    swapcontext(&self.fibers_[self.current_].context, &self.scheduler_);
  }

  void wait(State state) {
    Fiber& fiber = fibers_[current_];
    fiber.state = state;
    swapcontext(&fiber.context, &scheduler_);
  }

  void run_block(const std::function<void()>& body) {
    body_ = body;
    fibers_.resize(kMaxThreads);
    for (unsigned int i = 0; i < num_threads_; ++i) {
      Fiber& fiber = fibers_[i];
      if (!fiber.stack) fiber.stack = std::make_unique<char[]>(kStackSize);
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack.get();
      fiber.context.uc_stack.ss_size = kStackSize;
      fiber.context.uc_link = &scheduler_;
      makecontext(&fiber.context, &Emulator::enter, 0);
      fiber.state = State::ready;
    }
    while (run_ready() || release_warps() || release_block()) {
    }
    for (unsigned int i = 0; i < num_threads_; ++i) {
      if (fibers_[i].state != State::done)
        throw std::logic_error("a barrier that not all threads of the block reach");
    }
  }

  bool run_ready() {
    bool any = false;
    for (unsigned int i = 0; i < num_threads_; ++i) {
      if (fibers_[i].state != State::ready) continue;
      any = true;
      current_ = i;
      swapcontext(&scheduler_, &fibers_[i].context);
    }
    return any;
  }

  bool release_warps() {
    bool any = false;
    for (unsigned int first = 0; first < num_threads_; first += 32) {
      unsigned int num_waiting = 0;
      for (unsigned int i = first; i < first + 32; ++i)
        num_waiting += fibers_[i].state == State::at_warp_barrier ? 1 : 0;
      if (num_waiting != 32) continue;
      any = true;
      for (unsigned int i = first; i < first + 32; ++i) fibers_[i].state = State::ready;
    }
    return any;
  }

  bool release_block() {
    bool any = false;
    for (unsigned int i = 0; i < num_threads_; ++i) {
      if (fibers_[i].state == State::at_warp_barrier) return false;
      any = any || fibers_[i].state == State::at_block_barrier;
    }
    for (unsigned int i = 0; any && i < num_threads_; ++i) {
      if (fibers_[i].state == State::at_block_barrier) fibers_[i].state = State::ready;
    }
    return any;
  }

  ucontext_t scheduler_{};
  std::vector<Fiber> fibers_;
  std::function<void()> body_;
  Index3 grid_, block_;
  unsigned int num_threads_ = 0;
  unsigned int current_ = 0;
  std::uint32_t exchange_[kMaxThreads][16] = {};
};

inline float float_of(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
inline std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

inline float half_value(std::uint32_t bits) {
#if MLXS_HALF == 0
  return float_of(bits << 16);
#else
  _Float16 value;
  const auto narrow = static_cast<std::uint16_t>(bits);
  std::memcpy(&value, &narrow, 2);
  return static_cast<float>(value);
#endif
}

inline std::uint32_t half_bits(float value) {
#if MLXS_HALF == 0
  const std::uint32_t bits = bits_of(value);
  return (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
#else
  const auto narrow = static_cast<_Float16>(value);
  std::uint16_t bits;
  std::memcpy(&bits, &narrow, 2);
  return bits;
#endif
}

inline float low_float(unsigned int pair) { return half_value(pair & 0xffffU); }
inline float high_float(unsigned int pair) { return half_value(pair >> 16); }
inline unsigned int pack_halves(float low, float high) {
  return half_bits(low) | (half_bits(high) << 16);
}
inline unsigned int fma_halves(unsigned int a, unsigned int b, unsigned int c) {
  return pack_halves(
      std::fma(low_float(a), low_float(b), low_float(c)),
      std::fma(high_float(a), high_float(b), high_float(c))
  );
}
inline unsigned int permute_bytes(unsigned int a, unsigned int b, unsigned int selector) {
  const std::uint64_t both = (static_cast<std::uint64_t>(b) << 32) | a;
  unsigned int result = 0;
  for (unsigned int i = 0; i < 4; ++i) {
    const unsigned int which = (selector >> (4 * i)) & 7U;
    result |= static_cast<unsigned int>((both >> (8 * which)) & 0xffU) << (8 * i);
  }
  return result;
}

inline void multiply_tile(
    float (&c)[4], const unsigned int (&a)[4], unsigned int b0, unsigned int b1
) {
  Emulator& emulator = Emulator::instance();
  const unsigned int lane = emulator.lane();
  std::uint32_t* mine = emulator.slot(lane);
  for (int i = 0; i < 4; ++i) mine[i] = a[i];
  mine[4] = b0;
  mine[5] = b1;
  emulator.warp_barrier();
  const auto element = [](std::uint32_t pair, int odd) {
    return odd != 0 ? high_float(pair) : low_float(pair);
  };
  for (unsigned int out = 0; out < 4; ++out) {
    const unsigned int row = lane / 4 + (out / 2) * 8;
    const unsigned int column = lane % 4 * 2 + out % 2;
    for (unsigned int k = 0; k < 16; ++k) {
      const unsigned int thread = k % 8 / 2;
      const std::uint32_t* left = emulator.slot(row % 8 * 4 + thread);
      const std::uint32_t* right = emulator.slot(column * 4 + thread);
      const float x = element(left[row / 8 + k / 8 * 2], static_cast<int>(k % 2));
      const float y = element(right[4 + k / 8], static_cast<int>(k % 2));
      c[out] += x * y;
    }
  }
  emulator.warp_barrier();
}

inline void load_rows(unsigned int (&result)[4], const void* row, bool is_transposed) {
  Emulator& emulator = Emulator::instance();
  const unsigned int lane = emulator.lane();
  std::memcpy(emulator.slot(lane), &row, sizeof(row));
  emulator.warp_barrier();
  for (unsigned int matrix = 0; matrix < 4; ++matrix) {
    std::uint32_t halves[2];
    for (unsigned int i = 0; i < 2; ++i) {
      const unsigned int across = 2 * (lane % 4) + i;
      const unsigned int at = is_transposed ? across : lane / 4;
      const std::uint16_t* source;
      std::memcpy(&source, emulator.slot(8 * matrix + at), sizeof(source));
      halves[i] = source[is_transposed ? lane / 4 : across];
    }
    result[matrix] = halves[0] | (halves[1] << 16);
  }
  emulator.warp_barrier();
}
inline void load_matrices(unsigned int (&result)[4], const void* row) {
  load_rows(result, row, false);
}
inline void load_transposed(unsigned int (&result)[4], const void* row) {
  load_rows(result, row, true);
}

inline unsigned int transpose_matrix(unsigned int pair) {
  Emulator& emulator = Emulator::instance();
  const unsigned int lane = emulator.lane();
  emulator.slot(lane)[0] = pair;
  emulator.warp_barrier();
  unsigned int result = 0;
  for (unsigned int i = 0; i < 2; ++i) {
    const unsigned int row = 2 * (lane % 4) + i;
    const unsigned int column = lane / 4;
    const std::uint32_t source = emulator.slot(row * 4 + column / 2)[0];
    result |= (column % 2 != 0 ? source >> 16 : source & 0xffffU) << (16 * i);
  }
  emulator.warp_barrier();
  return result;
}

template <int kRows>
inline void multiply_group(
    float (&d)[kRows / 2], const unsigned int (&a)[4], const void* slab, int step
) {
  Emulator& emulator = Emulator::instance();
  const unsigned int lane = emulator.lane();
  for (int i = 0; i < 4; ++i) emulator.slot(lane)[i] = a[i];
  emulator.warp_barrier();
  for (unsigned int at = 0; at < kRows / 2; ++at) {
    const unsigned int output = lane / 4 + at % 4 / 2 * 8;
    const unsigned int row = at / 4 * 8 + lane % 4 * 2 + at % 2;
    for (unsigned int k = 0; k < 16; ++k) {
      const std::uint32_t pair = emulator.slot(output % 8 * 4 + k % 8 / 2)[output / 8 + k / 8 * 2];
      const unsigned int unit = (2 * static_cast<unsigned int>(step) + k / 8) ^ (row % 8);
      std::uint16_t right;
      std::memcpy(
          &right,
          static_cast<const char*>(slab) + row / 8 * 1024 + row % 8 * 128 + unit * 16 + k % 8 * 2,
          sizeof(right)
      );
      d[at] += (k % 2 != 0 ? high_float(pair) : low_float(pair)) * half_value(right);
    }
  }
  emulator.warp_barrier();
}
inline void open_group() {}
inline void close_group() {}
template <int kNumOpen>
inline void await_group() {}
inline void settle(float&) {}

using ByteBarrier = unsigned long long;
inline void make_barrier(ByteBarrier*) {}
inline void announce_bytes(ByteBarrier*, int) {}
inline void start_bytes(void* shared, const void* global, int num_bytes, ByteBarrier*) {
  std::memcpy(shared, global, static_cast<std::size_t>(num_bytes));
}
inline void await_bytes(ByteBarrier*, int) {}

inline void start_copy(void* shared, const void* global, bool is_inside) {
  if (is_inside) {
    std::memcpy(shared, global, 16);
  } else {
    std::memset(shared, 0, 16);
  }
}
inline void close_copies() {}
template <int kNumOpen>
inline void await_copies() {}
inline void await_previous() {}
inline void let_next_start() {}

inline Vec4 load_streamed(const void* address) { return *static_cast<const Vec4*>(address); }

}  // namespace mlxs::cuda

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static
#define threadIdx (::mlxs::cuda::Emulator::instance().thread())
#define blockIdx (::mlxs::cuda::Emulator::instance().block())
#define gridDim (::mlxs::cuda::Emulator::instance().grid())
#define blockDim (::mlxs::cuda::Emulator::instance().block_size())

#define MLXS_DYNAMIC_SHARED(name) alignas(1024) static unsigned char name[232448]

inline void __syncthreads() { ::mlxs::cuda::Emulator::instance().block_barrier(); }
inline void __syncwarp() { ::mlxs::cuda::Emulator::instance().warp_barrier(); }
inline void __threadfence() {}
inline float rsqrtf(float x) { return 1.0F / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __shfl_xor_sync(unsigned int, float value, int distance) {
  ::mlxs::cuda::Emulator& emulator = ::mlxs::cuda::Emulator::instance();
  emulator.slot(emulator.lane())[0] = ::mlxs::cuda::bits_of(value);
  emulator.warp_barrier();
  const float other =
      ::mlxs::cuda::float_of(emulator.slot(emulator.lane() ^ static_cast<unsigned int>(distance))[0]
      );
  emulator.warp_barrier();
  return other;
}
inline int __shfl_sync(unsigned int, int value, int lane) {
  ::mlxs::cuda::Emulator& emulator = ::mlxs::cuda::Emulator::instance();
  emulator.slot(emulator.lane())[0] = static_cast<std::uint32_t>(value);
  emulator.warp_barrier();
  const int other = static_cast<int>(emulator.slot(static_cast<unsigned int>(lane))[0]);
  emulator.warp_barrier();
  return other;
}
inline unsigned int atomicAdd(unsigned int* address, unsigned int value) {
  const unsigned int before = *address;
  *address += value;
  return before;
}
