// Detection. The compiler's run-time support asks cpuid for the instructions and XGETBV for whether
// the system saves the registers.
#include "kernels/cpu/cpu_path.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "mlx_serving/error.h"
#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace mlxs {
namespace {

constexpr std::array kPaths = {
    CpuPath::baseline,
    CpuPath::avx2,
    CpuPath::avx512,
    CpuPath::avx512_vnni,
    CpuPath::neon,
    CpuPath::neon_dot
};

#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
         __builtin_cpu_supports("f16c") != 0;
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") != 0 &&
         __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0;
}

bool is_available(CpuPath path) {
  switch (path) {
    case CpuPath::baseline:
      return true;
    case CpuPath::avx2:
      return has_avx2();
    case CpuPath::avx512:
      return has_avx512();
    case CpuPath::avx512_vnni:
      return has_avx512() && __builtin_cpu_supports("avx512vnni") != 0;
    default:
      return false;
  }
}
#elif defined(__aarch64__)
bool has_dot_product() {
#if defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
  return true;  // every Apple processor that MLX supports
#endif
}

bool is_available(CpuPath path) {
  return path == CpuPath::baseline || path == CpuPath::neon ||
         (path == CpuPath::neon_dot && has_dot_product());
}
#else
bool is_available(CpuPath path) { return path == CpuPath::baseline; }
#endif

}  // namespace

std::string_view cpu_path_name(CpuPath path) {
  switch (path) {
    case CpuPath::baseline:
      return "baseline";
    case CpuPath::avx2:
      return "avx2";
    case CpuPath::avx512:
      return "avx512";
    case CpuPath::avx512_vnni:
      return "avx512_vnni";
    case CpuPath::neon:
      return "neon";
    case CpuPath::neon_dot:
      return "neon_dot";
  }
  return "baseline";
}

std::vector<CpuPath> available_cpu_paths() {
  std::vector<CpuPath> paths;
  std::ranges::copy_if(kPaths, std::back_inserter(paths), is_available);
  return paths;
}

CpuPath best_cpu_path() { return available_cpu_paths().back(); }

CpuPath cpu_path_of(std::string_view name) {
  std::string names;
  for (const CpuPath path : available_cpu_paths()) {
    if (cpu_path_name(path) == name) return path;
    names += (names.empty() ? "" : ", ") + std::string(cpu_path_name(path));
  }
  throw Error(
      ErrorCode::invalid_config,
      fmt::format("MLX_SERVING_CPU_PATH is '{}'; available on this processor: {}", name, names)
  );
}

CpuPath cpu_path_from_environment() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in this process changes its environment.
  const char* name = std::getenv("MLX_SERVING_CPU_PATH");
  return name == nullptr || *name == '\0' ? best_cpu_path() : cpu_path_of(name);
}

}  // namespace mlxs
