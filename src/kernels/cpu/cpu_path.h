// Which instruction set the CPU's kernels use: found out at run time, lowered by an environment
// variable. A path names a set of translation units, each compiled with its own flags.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace mlxs {

enum class CpuPath : std::uint8_t {
  baseline,     // what every processor of the architecture has; the compiler's own vectors
  avx2,         // AVX2, FMA and F16C: vpmaddubsw, vpmaddwd
  avx512,       // AVX-512 F, BW, DQ, VL: the same on 64 bytes
  avx512_vnni,  // and VNNI: vpdpbusd, vpdpwssd
  neon,         // AArch64's vectors
  neon_dot      // and the dot product: sdot
};

// RETURNS: "avx512_vnni".
[[nodiscard]] std::string_view cpu_path_name(CpuPath path);

// RETURNS: the paths that this processor and this system can run, the best one last.
[[nodiscard]] std::vector<CpuPath> available_cpu_paths();

[[nodiscard]] CpuPath best_cpu_path();

// RETURNS: the path of this name. ERRORS: invalid_config, naming the available paths, for a name
// that is unknown or a path that is not available here.
[[nodiscard]] CpuPath cpu_path_of(std::string_view name);

// RETURNS: the path that MLX_SERVING_CPU_PATH names, best_cpu_path() where it is not set or empty.
// ERRORS: as cpu_path_of().
[[nodiscard]] CpuPath cpu_path_from_environment();

}  // namespace mlxs
