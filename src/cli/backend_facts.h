// What MLX says of itself and of the device; for info and bench. No MLX in this header.
#pragma once

#include <cstdint>
#include <string>

namespace mlxs {

struct BackendFacts {
  std::string mlx_version;  // "0.32.4"
  // "cpu", "cuda" or "metal": what this build of MLX can use beside the CPU, or "cpu"
  std::string backend;
  std::string device_name;  // of the device that DeviceKind::automatic picks
  std::string device_architecture;
  std::string cpu_path;                  // which kernels the CPU runs: "avx512_vnni"
  std::int64_t device_memory_bytes = 0;  // of a GPU; 0: not known, or no GPU
};

// ERRORS: invalid_config when MLX_SERVING_CPU_PATH names no path of this processor.
[[nodiscard]] BackendFacts read_backend_facts();

}  // namespace mlxs
