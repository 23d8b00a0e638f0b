// Names, and what the environment may ask for.
#include "kernels/cpu/cpu_path.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <string>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

TEST(CpuPath, HasTheBaselineAndTheBestOne) {
  const std::vector<CpuPath> paths = available_cpu_paths();
  ASSERT_FALSE(paths.empty());
  EXPECT_EQ(paths.front(), CpuPath::baseline);
  EXPECT_EQ(paths.back(), best_cpu_path());
  for (const CpuPath path : paths) EXPECT_EQ(cpu_path_of(cpu_path_name(path)), path);
}

TEST(CpuPath, RefusesWhatIsUnknownOrNotAvailable) {
  for (const char* name : {"sse9", "AVX2", "neon_dot", "avx512_vnni"}) {
    const std::vector<CpuPath> paths = available_cpu_paths();
    if (std::ranges::any_of(paths, [&](CpuPath path) { return cpu_path_name(path) == name; }))
      continue;
    try {
      (void)cpu_path_of(name);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_config);
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos);
      EXPECT_NE(std::string(error.what()).find("baseline"), std::string::npos);
    }
  }
}

// In a process of its own, as ctest starts each case.
TEST(CpuPath, FollowsTheEnvironment) {
  unsetenv("MLX_SERVING_CPU_PATH");
  EXPECT_EQ(cpu_path_from_environment(), best_cpu_path());
  setenv("MLX_SERVING_CPU_PATH", "baseline", 1);
  EXPECT_EQ(cpu_path_from_environment(), CpuPath::baseline);
  setenv("MLX_SERVING_CPU_PATH", "", 1);
  EXPECT_EQ(cpu_path_from_environment(), best_cpu_path());
  setenv("MLX_SERVING_CPU_PATH", "fastest", 1);
  EXPECT_THROW((void)cpu_path_from_environment(), Error);
  unsetenv("MLX_SERVING_CPU_PATH");
}

}  // namespace
}  // namespace mlxs
