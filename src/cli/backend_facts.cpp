// The one file of the command line that sees MLX.
#include "cli/backend_facts.h"

#include <mlx/device.h>
#include <mlx/version.h>

#include <string>
#include <variant>

#include "kernels/cpu/cpu_path.h"

namespace mlxs {
namespace {

namespace mx = mlx::core;

template <typename T>
T info_value(const mx::Device& device, const std::string& key) {
  const auto& info = mx::device_info(device);
  const auto found = info.find(key);
  if (found == info.end() || !std::holds_alternative<T>(found->second)) return T{};
  return std::get<T>(found->second);
}

// Metal is the only GPU back end on Apple's systems, CUDA the only one elsewhere.
constexpr const char* gpu_backend() {
#ifdef __APPLE__
  return "metal";
#else
  return "cuda";
#endif
}

}  // namespace

BackendFacts read_backend_facts() {
  const bool has_gpu = mx::is_available(mx::Device(mx::Device::gpu));
  const mx::Device device(has_gpu ? mx::Device::gpu : mx::Device::cpu);
  std::size_t memory = info_value<std::size_t>(device, "total_memory");
  if (memory == 0) memory = info_value<std::size_t>(device, "memory_size");
  return {
      .mlx_version = mx::version(),
      .backend = has_gpu ? gpu_backend() : "cpu",
      .device_name = info_value<std::string>(device, "device_name"),
      .device_architecture = info_value<std::string>(device, "architecture"),
      .cpu_path = std::string(cpu_path_name(cpu_path_from_environment())),
      .device_memory_bytes = has_gpu ? static_cast<std::int64_t>(memory) : 0
  };
}

}  // namespace mlxs
