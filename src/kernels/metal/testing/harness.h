// Executes Metal kernels on the CPU: every thread of a threadgroup is a fiber, the SIMD-groups of a
// threadgroup take turns in a seeded random order, and every access to memory is looked at. msl.h
// has the names of the shading language; here is what they stand on. It knows nothing of speed, nor
// of a device's rounding. Tests only.
//
// Kernels are compiled with -fsanitize=thread and linked without its runtime: the compiler's calls
// before each access (tsan_hooks.cpp) come here.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace mlxs::msl {

inline constexpr unsigned int kSimdWidth = 32;
inline constexpr std::size_t kThreadgroupBytes = 32768;  // of every Apple GPU

enum class Fault {
  race,                // two SIMD-groups, lanes or threadgroups, one of them writes
  out_of_bounds,       // outside of every buffer and threadgroup variable
  uninitialised,       // read before anything was written
  divergent_barrier,   // a barrier that not all threads reach
  divergent_simd,      // an operation of a SIMD-group that some of its lanes are not at
  inactive_lane,       // a value taken from a lane that has none to give
  threadgroup_memory,  // more than there is
};

// What a kernel did wrong, in words, with the first access that shows it.
class KernelError : public std::runtime_error {
 public:
  KernelError(Fault fault, const std::string& what) : std::runtime_error(what), fault_(fault) {}
  [[nodiscard]] Fault fault() const { return fault_; }

 private:
  Fault fault_;
};

struct Extent {
  unsigned int x = 1;
  unsigned int y = 1;
  unsigned int z = 1;
  [[nodiscard]] std::size_t count() const { return std::size_t{x} * y * z; }
};

// Where the running thread is.
struct Position {
  Extent group{0, 0, 0};   // threadgroup_position_in_grid
  Extent thread{0, 0, 0};  // thread_position_in_threadgroup
  Extent in_grid{0, 0, 0};
  Extent groups_per_grid, threads_per_group, threads_per_grid;
  unsigned int index = 0;  // thread_index_in_threadgroup
  [[nodiscard]] unsigned int simd_group() const { return index / kSimdWidth; }
  [[nodiscard]] unsigned int lane() const { return index % kSimdWidth; }
};

// Whether lanes of one SIMD-group may see each other's memory without a barrier. Metal promises
// nothing; older kernels rely on lock-step.
enum class LaneOrder { strict, lock_step };

enum class Contents { initialised, uninitialised };

// The lanes of a SIMD-group at one operation.
struct Lanes {
  static constexpr std::size_t kSlotBytes = 32;
  unsigned char slots[kSimdWidth][kSlotBytes];
  std::uint32_t active = 0;  // a bit a lane
};

enum class MemoryFlags : unsigned int { none = 0, device = 1, threadgroup = 2, all = 7 };

class Launch;

// A device: its memory, and what runs on it. Thread safety: none; one launch at a time in a
// process.
class Harness {
 public:
  explicit Harness(std::uint32_t seed = 1, LaneOrder order = LaneOrder::strict);
  ~Harness();
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;

  // Device memory for `num_bytes`, apart from every other buffer.
  [[nodiscard]] void* allocate(std::size_t num_bytes, const char* name, Contents contents);

  template <typename T>
  [[nodiscard]] T* buffer(const std::vector<T>& values, const char* name = "input") {
    auto* memory = static_cast<T*>(
        allocate(std::max<std::size_t>(1, values.size()) * sizeof(T), name, Contents::initialised)
    );
    std::copy(values.begin(), values.end(), memory);
    return memory;
  }
  // What a kernel has to write.
  template <typename T>
  [[nodiscard]] T* output(std::size_t count, const char* name = "output") {
    return static_cast<T*>(allocate(count * sizeof(T), name, Contents::uninitialised));
  }
  // RETURNS: the output. ERRORS: KernelError where part of it was never written.
  template <typename T>
  [[nodiscard]] std::vector<T> read(const T* memory, std::size_t count) const {
    expect_written(memory, count * sizeof(T));
    return std::vector<T>(memory, memory + count);
  }

  // Runs `kernel` for every thread. ERRORS: KernelError; std::logic_error for a grid that cannot
  // be.
  void dispatch_threadgroups(
      Extent groups, Extent threads_per_group, const std::function<void()>& kernel
  );
  // As dispatch_threadgroups(), with smaller threadgroups at the edges.
  void dispatch_threads(
      Extent threads, Extent threads_per_group, const std::function<void()>& kernel
  );

  // Threadgroup memory that the host gives to a kernel as an argument, for the running thread.
  [[nodiscard]] static void* threadgroup_argument(int index, std::size_t num_bytes);

 private:
  friend class Launch;
  void expect_written(const void* memory, std::size_t num_bytes) const;
  void run(
      Extent groups, Extent threads_per_group, Extent threads, const std::function<void()>& kernel
  );

  struct State;
  std::unique_ptr<State> state_;
};

// --- What msl.h and the hooks call, for the running thread.

[[nodiscard]] const Position& position();
void barrier(MemoryFlags flags, int line);
void simd_barrier(MemoryFlags flags, int line);

// Publishes a value of this lane and waits for the others. RETURNS: all lanes' values, valid until
// this lane's next operation but one.
[[nodiscard]] const Lanes& exchange(
    const void* value, std::size_t num_bytes, const char* operation, int line
);

// One variable of the threadgroup, by the place of its declaration.
[[nodiscard]] void* threadgroup_variable(
    const void* site, std::size_t num_bytes, std::size_t alignment, const char* name
);

[[noreturn]] void report(Fault fault, const char* what);

void on_access(const void* address, std::size_t num_bytes, bool is_write) noexcept;

// Atomic operations are no races with each other.
class AtomicScope {
 public:
  AtomicScope(const void* address, std::size_t num_bytes);
};

}  // namespace mlxs::msl
