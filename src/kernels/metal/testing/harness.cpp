// Threads are fibers: a context of their own to begin on, and jumps to change between them. A fiber
// runs until it waits for its SIMD-group, for its threadgroup, or is done; one that did wrong is
// left where it is.
#include "kernels/metal/testing/harness.h"

#include <setjmp.h>
#include <spdlog/fmt/fmt.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <new>
#include <optional>
#include <random>
#include <utility>

#include "kernels/metal/testing/shadow.h"

namespace mlxs::msl {
namespace {

constexpr std::size_t kDeviceBytes = std::size_t{64} << 20;
constexpr std::size_t kStackBytes = std::size_t{256} << 10;
constexpr unsigned int kMaxThreads = 1024;

enum class State { ready, at_simd_operation, at_barrier, done };

struct Fiber {
  jmp_buf here;
  ucontext_t first;
  unsigned char* stack = nullptr;
  State state = State::ready;
  Position position;
  const char* operation = "";  // that it waits at
  int line = 0;
  MemoryFlags flags = MemoryFlags::none;
  std::uint32_t num_operations = 0;
};

struct SimdGroup {
  Lanes lanes[2];  // in turns: a lane may be one operation ahead of one that still reads
  std::uint32_t interval = 0;
};

struct Variable {
  void* memory = nullptr;
  std::size_t num_bytes = 0;
};

}  // namespace

// What runs. It is there only while a dispatch is.
class Launch {
 public:
  Launch(Harness::State& device, const std::function<void()>& kernel, Extent groups, Extent threads)
      : device_(device), kernel_(kernel), groups_(groups), threads_(threads) {}

  void run_group(Extent group, Extent threads_per_group, Extent full);
  void wait(State state, const char* operation, int line, MemoryFlags flags);
  [[noreturn]] void fail(Fault fault, const std::string& what);
  [[nodiscard]] std::string where() const;

  Fiber& current();
  SimdGroup& simd_group() { return simd_groups_[current_ / kSimdWidth]; }
  [[nodiscard]] Toucher toucher(bool is_device) const;
  [[nodiscard]] bool is_running() const { return is_running_; }

  void* variable(const void* site, std::size_t num_bytes, std::size_t alignment, const char* name);
  Harness::State& device() { return device_; }

  static Launch* active;

 private:
  static void enter();
  void start(unsigned int index, Extent threads_per_group);
  void resume(unsigned int index);
  void run_simd_group(unsigned int simd_group);
  bool finish_operation(unsigned int simd_group);
  void finish_barrier();
  [[nodiscard]] unsigned int end_of(unsigned int simd_group) const {
    return std::min(num_threads_, (simd_group + 1) * kSimdWidth);
  }

  Harness::State& device_;
  const std::function<void()>& kernel_;
  Extent groups_, threads_;
  std::vector<SimdGroup> simd_groups_;
  std::map<const void*, Variable> variables_;
  jmp_buf scheduler_;
  std::optional<KernelError> error_;
  unsigned int num_threads_ = 0;
  unsigned int current_ = 0;
  bool is_running_ = false;
  std::uint32_t interval_ = 1;
  std::uint32_t device_interval_ = 1;
};

Launch* Launch::active = nullptr;

struct Harness::State {
  State(std::uint32_t seed, LaneOrder order)
      : device(kDeviceBytes, "device"),
        group_memory(4 * kThreadgroupBytes, "threadgroup"),
        random(seed) {
    device.set_lane_order(order);
    group_memory.set_lane_order(order);
    group_memory.set_group_local();
    fibers.resize(kMaxThreads);
    stacks = static_cast<unsigned char*>(mmap(
        nullptr,
        kMaxThreads * kStackBytes,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
        -1,
        0
    ));
    if (stacks == MAP_FAILED) throw std::bad_alloc();
    for (unsigned int i = 0; i < kMaxThreads; ++i) fibers[i].stack = stacks + i * kStackBytes;
  }
  ~State() { munmap(stacks, kMaxThreads * kStackBytes); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Shadow device, group_memory;
  std::mt19937 random;
  std::vector<Fiber> fibers;
  unsigned char* stacks = nullptr;
  std::uint32_t group_serial = 0;
};

Fiber& Launch::current() { return device_.fibers[current_]; }

Toucher Launch::toucher(bool is_device) const {
  return {
      .group = device_.group_serial,
      .interval = is_device ? device_interval_ : interval_,
      .lane_interval = simd_groups_[current_ / kSimdWidth].interval,
      .thread = static_cast<std::uint16_t>(current_)
  };
}

std::string Launch::where() const {
  const Position& at = device_.fibers[current_].position;
  return fmt::format(
      "threadgroup ({}, {}, {}), thread {} (SIMD-group {}, lane {})",
      at.group.x,
      at.group.y,
      at.group.z,
      at.index,
      at.simd_group(),
      at.lane()
  );
}

void Launch::enter() {
  Launch& self = *active;
  self.kernel_();
  self.current().state = State::done;
  _longjmp(self.scheduler_, 1);
}

void Launch::start(unsigned int index, Extent threads_per_group) {
  Fiber& fiber = device_.fibers[index];
  fiber.state = State::ready;
  fiber.num_operations = 0;
  Position& at = fiber.position;
  at.index = index;
  at.thread = {
      index % threads_per_group.x,
      index / threads_per_group.x % threads_per_group.y,
      index / threads_per_group.x / threads_per_group.y
  };
  getcontext(&fiber.first);
  fiber.first.uc_stack.ss_sp = fiber.stack;
  fiber.first.uc_stack.ss_size = kStackBytes;
  fiber.first.uc_link = nullptr;
  makecontext(&fiber.first, &Launch::enter, 0);
  fiber.operation = "start";
}

void Launch::resume(unsigned int index) {
  current_ = index;
  Fiber& fiber = device_.fibers[index];
  is_running_ = true;
  if (_setjmp(scheduler_) == 0) {
    if (std::exchange(fiber.operation, "") == std::string_view("start")) {
      setcontext(&fiber.first);
    } else {
      _longjmp(fiber.here, 1);
    }
  }
  is_running_ = false;
  if (error_) throw KernelError(*error_);
}

void Launch::wait(State state, const char* operation, int line, MemoryFlags flags) {
  Fiber& fiber = current();
  fiber.state = state;
  fiber.operation = operation;
  fiber.line = line;
  fiber.flags = flags;
  if (_setjmp(fiber.here) == 0) _longjmp(scheduler_, 1);
}

void Launch::fail(Fault fault, const std::string& what) {
  is_running_ = false;
  error_.emplace(fault, fmt::format("{}: {}", where(), what));
  _longjmp(scheduler_, 1);
}

// Every lane that can go on does, in a random order, until all wait or are done.
void Launch::run_simd_group(unsigned int simd_group) {
  std::vector<unsigned int> order;
  for (unsigned int i = simd_group * kSimdWidth; i < end_of(simd_group); ++i) {
    if (device_.fibers[i].state == State::ready) order.push_back(i);
  }
  std::shuffle(order.begin(), order.end(), device_.random);
  for (const unsigned int index : order) resume(index);
}

// RETURNS: whether the lanes go on: all that are not done are at the same operation.
bool Launch::finish_operation(unsigned int simd_group) {
  const Fiber* first = nullptr;
  for (unsigned int i = simd_group * kSimdWidth; i < end_of(simd_group); ++i) {
    const Fiber& fiber = device_.fibers[i];
    if (fiber.state == State::done) continue;
    if (first == nullptr) first = &fiber;
    const bool is_same = fiber.state == first->state && fiber.line == first->line &&
                         std::strcmp(fiber.operation, first->operation) == 0;
    if (!is_same) {
      const bool is_barrier = fiber.state == State::at_barrier || first->state == State::at_barrier;
      throw KernelError(
          is_barrier ? Fault::divergent_barrier : Fault::divergent_simd,
          fmt::format(
              "SIMD-group {} of threadgroup ({}, {}, {}): lane {} is at {} (line {}), lane {} at "
              "{} (line {})",
              simd_group,
              first->position.group.x,
              first->position.group.y,
              first->position.group.z,
              first->position.lane(),
              first->operation,
              first->line,
              fiber.position.lane(),
              fiber.operation,
              fiber.line
          )
      );
    }
  }
  if (first == nullptr || first->state != State::at_simd_operation) return false;
  SimdGroup& group = simd_groups_[simd_group];
  Lanes& lanes = group.lanes[first->num_operations % 2];
  lanes.active = 0;
  const bool is_ordering = first->flags != MemoryFlags::none;
  for (unsigned int i = simd_group * kSimdWidth; i < end_of(simd_group); ++i) {
    Fiber& fiber = device_.fibers[i];
    if (fiber.state == State::done) continue;
    lanes.active |= 1U << (i % kSimdWidth);
    fiber.state = State::ready;
  }
  if (is_ordering) ++group.interval;
  return true;
}

// All SIMD-groups wait at a barrier, or are done.
void Launch::finish_barrier() {
  const Fiber& first = *std::find_if(
      device_.fibers.begin(),
      device_.fibers.begin() + num_threads_,
      [](const Fiber& fiber) { return fiber.state == State::at_barrier; }
  );
  for (unsigned int i = 0; i < num_threads_; ++i) {
    Fiber& fiber = device_.fibers[i];
    if (fiber.state != State::at_barrier || fiber.line != first.line) {
      throw KernelError(
          Fault::divergent_barrier,
          fmt::format(
              "threadgroup ({}, {}, {}): thread {} is at the barrier of line {}, thread {} {}",
              first.position.group.x,
              first.position.group.y,
              first.position.group.z,
              first.position.index,
              first.line,
              i,
              fiber.state == State::done ? "has returned"
                                         : fmt::format("at that of line {}", fiber.line)
          )
      );
    }
  }
  const auto flags = static_cast<unsigned int>(first.flags);
  if ((flags & static_cast<unsigned int>(MemoryFlags::threadgroup)) != 0) ++interval_;
  if ((flags & static_cast<unsigned int>(MemoryFlags::device)) != 0) ++device_interval_;
  if (flags != 0) {
    for (SimdGroup& group : simd_groups_) ++group.interval;
  }
  for (unsigned int i = 0; i < num_threads_; ++i) device_.fibers[i].state = State::ready;
}

void Launch::run_group(Extent group, Extent threads_per_group, Extent full) {
  num_threads_ = static_cast<unsigned int>(threads_per_group.count());
  simd_groups_.assign((num_threads_ + kSimdWidth - 1) / kSimdWidth, SimdGroup{});
  ++device_.group_serial;
  for (unsigned int i = 0; i < num_threads_; ++i) {
    start(i, threads_per_group);
    Position& at = device_.fibers[i].position;
    at.group = group;
    at.in_grid = {
        group.x * full.x + at.thread.x,
        group.y * full.y + at.thread.y,
        group.z * full.z + at.thread.z
    };
    at.groups_per_grid = groups_;
    at.threads_per_group = threads_per_group;
    at.threads_per_grid = threads_;
  }
  std::vector<unsigned int> runnable;
  for (;;) {
    runnable.clear();
    for (unsigned int i = 0; i < simd_groups_.size(); ++i) {
      const auto begin = device_.fibers.begin() + i * kSimdWidth;
      if (std::any_of(begin, device_.fibers.begin() + end_of(i), [](const Fiber& fiber) {
            return fiber.state == State::ready;
          })) {
        runnable.push_back(i);
      }
    }
    if (runnable.empty()) {
      const auto end = device_.fibers.begin() + num_threads_;
      if (std::all_of(device_.fibers.begin(), end, [](const Fiber& fiber) {
            return fiber.state == State::done;
          })) {
        return;
      }
      finish_barrier();
      continue;
    }
    const unsigned int chosen = runnable[device_.random() % runnable.size()];
    // A SIMD-group runs a random number of operations before another one has its turn.
    do {
      run_simd_group(chosen);
    } while (finish_operation(chosen) && device_.random() % 4 != 0);
  }
}

void* Launch::variable(
    const void* site, std::size_t num_bytes, std::size_t alignment, const char* name
) {
  Variable& variable = variables_[site];
  if (variable.memory == nullptr) {
    variable = {
        device_.group_memory.allocate(num_bytes, alignment, name, Contents::uninitialised),
        num_bytes
    };
    if (device_.group_memory.num_bytes_used() > kThreadgroupBytes) {
      fail(
          Fault::threadgroup_memory,
          fmt::format(
              "{} bytes of threadgroup memory, but there are {}",
              device_.group_memory.num_bytes_used(),
              kThreadgroupBytes
          )
      );
    }
  }
  return variable.memory;
}

Harness::Harness(std::uint32_t seed, LaneOrder order)
    : state_(std::make_unique<State>(seed, order)) {}
Harness::~Harness() = default;

void* Harness::allocate(std::size_t num_bytes, const char* name, Contents contents) {
  return state_->device.allocate(num_bytes, 256, name, contents);
}

void Harness::expect_written(const void* memory, std::size_t num_bytes) const {
  const unsigned char* at = state_->device.first_unwritten(memory, num_bytes);
  if (at != nullptr)
    throw KernelError(Fault::uninitialised, state_->device.describe(at) + " was never written");
}

void Harness::run(
    Extent groups, Extent threads_per_group, Extent threads, const std::function<void()>& kernel
) {
  if (threads_per_group.count() == 0 || threads_per_group.count() > kMaxThreads)
    throw std::logic_error(
        fmt::format("[msl] {} threads in a threadgroup", threads_per_group.count())
    );
  if (Launch::active != nullptr) throw std::logic_error("[msl] a launch within a launch");
  state_->device.set_launch(state_->group_serial + 1);
  state_->group_memory.clear();
  Launch launch(*state_, kernel, groups, threads);
  Launch::active = &launch;
  // Neither does a device keep an order.
  std::vector<Extent> order;
  for (unsigned int z = 0; z < groups.z; ++z)
    for (unsigned int y = 0; y < groups.y; ++y)
      for (unsigned int x = 0; x < groups.x; ++x) order.push_back({x, y, z});
  std::shuffle(order.begin(), order.end(), state_->random);
  try {
    for (const Extent& group : order) {
      const auto inside = [](unsigned int size, unsigned int index, unsigned int all) {
        return std::min(size, all - size * index);
      };
      launch.run_group(
          group,
          {inside(threads_per_group.x, group.x, threads.x),
           inside(threads_per_group.y, group.y, threads.y),
           inside(threads_per_group.z, group.z, threads.z)},
          threads_per_group
      );
    }
  } catch (...) {
    Launch::active = nullptr;
    throw;
  }
  Launch::active = nullptr;
}

void Harness::dispatch_threadgroups(
    Extent groups, Extent threads_per_group, const std::function<void()>& kernel
) {
  run(groups,
      threads_per_group,
      {groups.x * threads_per_group.x,
       groups.y * threads_per_group.y,
       groups.z * threads_per_group.z},
      kernel);
}

void Harness::dispatch_threads(
    Extent threads, Extent threads_per_group, const std::function<void()>& kernel
) {
  const auto parts = [](unsigned int all, unsigned int size) { return (all + size - 1) / size; };
  run({parts(threads.x, threads_per_group.x),
       parts(threads.y, threads_per_group.y),
       parts(threads.z, threads_per_group.z)},
      threads_per_group,
      threads,
      kernel);
}

void* Harness::threadgroup_argument(int index, std::size_t num_bytes) {
  // Any address that no declaration has.
  return Launch::active->variable(
      reinterpret_cast<const void*>(static_cast<std::uintptr_t>(index) + 1),
      num_bytes,
      16,
      "argument"
  );
}

const Position& position() { return Launch::active->current().position; }

void barrier(MemoryFlags flags, int line) {
  Launch::active->wait(State::at_barrier, "threadgroup_barrier", line, flags);
}

void simd_barrier(MemoryFlags flags, int line) {
  ++Launch::active->current().num_operations;
  Launch::active->wait(State::at_simd_operation, "simdgroup_barrier", line, flags);
}

const Lanes& exchange(const void* value, std::size_t num_bytes, const char* operation, int line) {
  Launch& launch = *Launch::active;
  Fiber& fiber = launch.current();
  const std::uint32_t turn = ++fiber.num_operations % 2;
  Lanes& lanes = launch.simd_group().lanes[turn];
  std::memcpy(lanes.slots[fiber.position.lane()], value, num_bytes);
  launch.wait(State::at_simd_operation, operation, line, MemoryFlags::none);
  return lanes;
}

void* threadgroup_variable(
    const void* site, std::size_t num_bytes, std::size_t alignment, const char* name
) {
  return Launch::active->variable(site, num_bytes, alignment, name);
}

void report(Fault fault, const char* what) { Launch::active->fail(fault, what); }

void on_access(const void* address, std::size_t num_bytes, bool is_write) noexcept {
  Launch* const launch = Launch::active;
  if (launch == nullptr || !launch->is_running()) return;
  auto& device = launch->device();
  const bool is_device = device.device.contains(address);
  Shadow::Finding finding;
  if (is_device || device.group_memory.contains(address)) {
    Shadow& shadow = is_device ? device.device : device.group_memory;
    if (shadow.touch(address, num_bytes, is_write, launch->toucher(is_device), finding)) return;
    launch->fail(finding.fault, finding.what);
  }
  const auto* at = static_cast<const unsigned char*>(address);
  const unsigned char* stack = launch->current().stack;
  if (at >= stack && at < stack + kStackBytes) return;
  // Constants and arguments are the host's, and may be read.
  if (is_write) launch->fail(Fault::out_of_bounds, "a write outside of every buffer");
}

AtomicScope::AtomicScope(const void* address, std::size_t num_bytes) {
  Launch& launch = *Launch::active;
  auto& device = launch.device();
  for (Shadow* shadow : {&device.device, &device.group_memory}) {
    if (!shadow->contains(address)) continue;
    shadow->touch_atomically(address, num_bytes, launch.toucher(shadow == &device.device));
    return;
  }
  launch.fail(Fault::out_of_bounds, "an atomic operation outside of every buffer");
}

}  // namespace mlxs::msl
