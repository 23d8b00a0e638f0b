// Set-up and errors in words; nothing of a model.
#include "kernels/cuda/context.h"

#include <mlx/backend/cuda/allocator.h>
#include <mlx/backend/cuda/device.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <string>
#include <utility>

#include "base/settings.h"
#include "mlx_serving/error.h"

namespace mlxs::cuda {
namespace {

constexpr int kOldestDriver = 13000;
constexpr std::size_t kCublasWorkspaceBytes = std::size_t{64} << 20;

std::string architecture(const Driver& driver) {
  int major = 0;
  int minor = 0;
  driver.check(
      driver.device_attribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0),
      "reading the GPU's capability"
  );
  driver.check(
      driver.device_attribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0),
      "reading the GPU's capability"
  );
  if (major < 9) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format(
            "[cuda] the GPU has compute capability {}.{}; the kernels need 9.0 (Hopper) or later",
            major,
            minor
        )
    );
  }
  return fmt::format("sm_{}{}{}", major, minor, major == 9 ? "a" : "");
}

void check_driver_version(const Driver& driver) {
  int version = 0;
  driver.check(driver.driver_version(&version), "asking the driver's version");
  if (version >= kOldestDriver) return;
  throw Error(
      ErrorCode::invalid_config,
      fmt::format(
          "[cuda] the driver is for CUDA {}.{}; CUDA 13.0 (driver 580) or later is needed",
          version / 1000,
          version % 1000 / 10
      )
  );
}

// Few different sizes, so that memory is found again; what is as large as a pool is not rounded
// far.
std::size_t rounded(std::size_t num_bytes) {
  constexpr std::size_t kLarge = std::size_t{64} << 20;
  constexpr std::size_t kMegabyte = std::size_t{1} << 20;
  if (num_bytes < kLarge) return std::bit_ceil(std::max<std::size_t>(num_bytes, 256));
  return (num_bytes + kMegabyte - 1) / kMegabyte * kMegabyte;
}

}  // namespace

DeviceBuffer::DeviceBuffer(const Driver& driver, std::size_t num_bytes) : driver_(&driver) {
  if (num_bytes == 0) return;
  // From the pool that MLX takes its memory from, so that either may free it.
  if (driver.mem_alloc_async(&address_, num_bytes, nullptr) == CUDA_SUCCESS) {
    driver.check(driver.stream_synchronize(nullptr), "allocating GPU memory");
    return;
  }
  address_ = 0;
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  driver.mem_info(&free_bytes, &total_bytes);
  throw Error(
      ErrorCode::engine_error,
      fmt::format(
          "[cuda] {} bytes of GPU memory were asked for, {} of {} are free; lower kv_memory",
          num_bytes,
          free_bytes,
          total_bytes
      )
  );
}

DeviceBuffer::~DeviceBuffer() {
  if (address_ != 0) driver_->mem_free(address_);
}

Context::Context() : driver_(Driver::open()) {
  check_driver_version(driver_);
  mx::cu::device(mx::Device(mx::Device::gpu)).make_current();
  const std::filesystem::path home = model_home(process_environment());
  programs_ = std::make_unique<Programs>(driver_, home / "cuda-kernels", architecture(driver_));
  driver_.check(
      driver_.device_attribute(&num_processors_, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0),
      "counting the GPU's processors"
  );
  check_cublas(driver_.cublas_create(&cublas_), "starting cuBLAS");
  cublas_workspace_ = allocate(kCublasWorkspaceBytes);
}

Context::~Context() {
  if (cublas_ != nullptr) driver_.cublas_destroy(cublas_);
}

void Context::launch_raw(
    CUfunction function, const LaunchShape& shape, void** arguments, CUstream stream
) const {
  const auto size = [](int extent) { return static_cast<unsigned int>(extent); };
  CUlaunchAttribute early_start{};
  early_start.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  early_start.value.programmaticStreamSerializationAllowed = 1;
  CUlaunchConfig config{};
  config.gridDimX = size(shape.grid_x);
  config.gridDimY = size(shape.grid_y);
  config.gridDimZ = size(shape.grid_z);
  config.blockDimX = size(shape.num_threads);
  config.blockDimY = 1;
  config.blockDimZ = 1;
  config.sharedMemBytes = size(shape.shared_bytes);
  config.hStream = stream;
  config.attrs = &early_start;
  config.numAttrs = 1;
  driver_.check(driver_.launch(&config, function, arguments, nullptr), "launching a kernel");
}

void Context::multiply(const Product& product, CUstream stream) {
  constexpr int kTransposed = 1;
  constexpr int kPlain = 0;
  constexpr int kFloat = 0;  // cudaDataType_t's numbers
  constexpr int kFloat16 = 2;
  constexpr int kBfloat16 = 14;
  constexpr int kComputeFloat = 68;
  constexpr int kAnyAlgorithm = -1;
  const int half = product.is_float16 ? kFloat16 : kBfloat16;
  const float one = 1.0F;
  const float before = product.adds ? 1.0F : 0.0F;
  check_cublas(driver_.cublas_set_stream(cublas_, stream), "setting cuBLAS's stream");
  check_cublas(
      driver_.cublas_set_workspace(cublas_, cublas_workspace_.as<void>(), kCublasWorkspaceBytes),
      "setting cuBLAS's workspace"
  );
  check_cublas(
      driver_.cublas_gemm(
          cublas_,
          kTransposed,
          kPlain,
          product.num_outputs,
          product.num_rows,
          product.num_columns,
          &one,
          product.weight,
          half,
          product.num_columns,
          product.x,
          half,
          product.num_columns,
          &before,
          product.out,
          product.is_float ? kFloat : half,
          product.out_pitch,
          kComputeFloat,
          kAnyAlgorithm
      ),
      "multiplying matrices"
  );
}

ArrayPool::ArrayPool(std::shared_ptr<Context> context) : context_(std::move(context)) {}

DeviceBuffer ArrayPool::take(std::size_t num_bytes) {
  {
    const MutexLock lock(mutex_);
    std::vector<DeviceBuffer>& kept = free_[num_bytes];
    if (!kept.empty()) {
      DeviceBuffer buffer = std::move(kept.back());
      kept.pop_back();
      return buffer;
    }
  }
  return context_->allocate(num_bytes);
}

void ArrayPool::give_back(std::size_t num_bytes, DeviceBuffer buffer) {
  const MutexLock lock(mutex_);
  free_[num_bytes].push_back(std::move(buffer));
}

mx::allocator::Data ArrayPool::array_data(
    const std::shared_ptr<ArrayPool>& pool, std::size_t num_bytes
) {
  const std::size_t size = rounded(num_bytes);
  auto memory = std::make_shared<DeviceBuffer>(pool->take(size));
  auto* buffer = new mx::cu::CudaBuffer{memory->as<void>(), size, 0};
  return {mx::allocator::Buffer(buffer), [pool, memory, size](mx::allocator::Buffer freed) {
            const std::unique_ptr<mx::cu::CudaBuffer> owned(
                static_cast<mx::cu::CudaBuffer*>(freed.ptr())
            );
            if (owned->device >= 0) {
              pool->give_back(size, std::move(*memory));
              return;
            }
            // MLX has moved the array to where the host reads it, and freed what was here.
            memory->release();
            pool->context_->driver().mem_free(reinterpret_cast<CUdeviceptr>(owned->data));
          }};
}

CUdeviceptr device_address(const mx::array& x) {
  const auto* buffer = static_cast<const mx::cu::CudaBuffer*>(x.buffer().ptr());
  return reinterpret_cast<CUdeviceptr>(buffer->data) + static_cast<CUdeviceptr>(x.offset());
}

}  // namespace mlxs::cuda
