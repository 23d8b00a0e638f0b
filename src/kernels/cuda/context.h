// One GPU's driver, programs and memory, shared by whatever launches on it.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "kernels/cuda/driver.h"
#include "kernels/cuda/programs.h"
#include "kernels/mx.h"

namespace mlxs::cuda {

// Device memory that its owner frees.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  // ERRORS: engine_error in words when there is not as much.
  DeviceBuffer(const Driver& driver, std::size_t num_bytes);
  ~DeviceBuffer();
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : driver_(other.driver_), address_(std::exchange(other.address_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(driver_, other.driver_);
    std::swap(address_, other.address_);
    return *this;
  }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  [[nodiscard]] CUdeviceptr address() const { return address_; }
  // Whoever else has freed it.
  void release() { address_ = 0; }
  template <typename T>
  [[nodiscard]] T* as() const {
    return reinterpret_cast<T*>(address_);
  }

 private:
  const Driver* driver_ = nullptr;
  CUdeviceptr address_ = 0;
};

struct LaunchShape {
  int grid_x = 1;
  int grid_y = 1;
  int grid_z = 1;
  int num_threads = 256;
  int shared_bytes = 0;  // of dynamic shared memory
};

// THREADS: the one that does all MLX work.
class Context {
 public:
  // ERRORS: invalid_config in words for a missing driver, an old one, or a GPU before Hopper.
  Context();
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  [[nodiscard]] const Driver& driver() const { return driver_; }
  [[nodiscard]] Programs& programs() { return *programs_; }
  [[nodiscard]] int num_processors() const { return num_processors_; }
  [[nodiscard]] DeviceBuffer allocate(std::size_t num_bytes) const { return {driver_, num_bytes}; }

  // Kernels take one block of arguments, by value. The kernel may start before the one ahead of it
  // on the stream has ended: see await_previous() in device.cuh.
  template <typename Params>
  void launch(CUfunction function, const LaunchShape& shape, Params params, CUstream stream) const {
    void* arguments[] = {&params};
    launch_raw(function, shape, arguments, stream);
  }

  struct Product {
    const void* weight;  // [N, K] half
    const void* x;       // [R, K] half
    void* out;           // [R, out_pitch], N columns of it
    int num_outputs;
    int num_columns;
    int num_rows;
    int out_pitch;
    bool adds = false;        // to what out has
    bool is_float = false;    // out is float32
    bool is_float16 = false;  // the halves are
  };
  void multiply(const Product& product, CUstream stream);

 private:
  void launch_raw(CUfunction function, const LaunchShape& shape, void** arguments, CUstream stream)
      const;

  Driver driver_;
  std::unique_ptr<Programs> programs_;
  CublasHandle cublas_ = nullptr;
  DeviceBuffer cublas_workspace_;
  int num_processors_ = 0;
};

// Memory for the arrays that steps hand to MLX: kept and given again, as freeing would wait for the
// device. Work on one stream orders the uses.
// Thread safety: arrays may end on any thread.
class ArrayPool {
 public:
  explicit ArrayPool(std::shared_ptr<Context> context);

  // RETURNS: memory that comes back to `pool` when the array goes. ERRORS: as DeviceBuffer's.
  [[nodiscard]] static mx::allocator::Data array_data(
      const std::shared_ptr<ArrayPool>& pool, std::size_t num_bytes
  );

 private:
  [[nodiscard]] DeviceBuffer take(std::size_t num_bytes);
  void give_back(std::size_t num_bytes, DeviceBuffer buffer);

  std::shared_ptr<Context> context_;
  Mutex mutex_;
  std::map<std::size_t, std::vector<DeviceBuffer>> free_ MLXS_GUARDED_BY(mutex_);
};

// RETURNS: where the array lies on the device. REQUIRES: it is evaluated.
[[nodiscard]] CUdeviceptr device_address(const mx::array& x);

}  // namespace mlxs::cuda
