// Independent chains, more than an instruction's latency; assembly, so that no compiler thins them.
#include "kernels/linear/peak_bench.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace mlxs {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

using Loop = void (*)(std::int64_t num_turns);

// RETURNS: operations a second of a loop that does `operations` a turn on each thread.
double measure(WorkerTeam& team, Loop loop, double operations) {
  constexpr std::int64_t kTurns = 200000;
  double best = 0.0;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const double start = now();
    team.run(team.num_threads(), [&](int /*part*/) { loop(kTurns); });
    const double rate =
        operations * static_cast<double>(kTurns) * team.num_threads() / (now() - start);
    best = rate > best ? rate : best;
  }
  return best / 1e9;
}

#if defined(__x86_64__)
#define MLXS_TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define MLXS_CLOBBER                                                                       \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
      "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc"
#define MLXS_LOOP(name, body)                                                                 \
  void name(std::int64_t num_turns) {                                                         \
    asm volatile("1:\n" body "dec %0\njnz 1b\nvzeroupper\n" : "+r"(num_turns)::MLXS_CLOBBER); \
  }
#define MLXS_FMA_YMM(i) "vfmadd231ps %%ymm12, %%ymm13, %%ymm" #i "\n"
#define MLXS_FMA_ZMM(i) "vfmadd231ps %%zmm12, %%zmm13, %%zmm" #i "\n"
#define MLXS_MADDUBS_YMM(i) \
  "vpmaddubsw %%ymm12, %%ymm13, %%ymm14\nvpaddw %%ymm14, %%ymm" #i ", %%ymm" #i "\n"
#define MLXS_MADDUBS_ZMM(i) \
  "vpmaddubsw %%zmm12, %%zmm13, %%zmm14\nvpaddw %%zmm14, %%zmm" #i ", %%zmm" #i "\n"
#define MLXS_DPBUSD_ZMM(i) "vpdpbusd %%zmm12, %%zmm13, %%zmm" #i "\n"
MLXS_LOOP(fma_ymm, MLXS_TWELVE(MLXS_FMA_YMM))
MLXS_LOOP(fma_zmm, MLXS_TWELVE(MLXS_FMA_ZMM))
MLXS_LOOP(maddubs_ymm, MLXS_TWELVE(MLXS_MADDUBS_YMM))
MLXS_LOOP(maddubs_zmm, MLXS_TWELVE(MLXS_MADDUBS_ZMM))
MLXS_LOOP(dpbusd_zmm, MLXS_TWELVE(MLXS_DPBUSD_ZMM))
constexpr int kChains = 12;
#endif

}  // namespace

double measure_read_bandwidth(WorkerTeam& team) {
  constexpr std::size_t kWords = std::size_t{32} << 20;  // 256 MiB
  static_assert(kWords % 64 == 0);
  const auto words = std::make_unique<std::uint64_t[]>(kWords);
  constexpr int kParts = 64;
  std::vector<std::uint64_t> sums(kParts);
  double best = 0.0;
  for (int attempt = 0; attempt < 4; ++attempt) {
    const double start = now();
    team.run(kParts, [&](int part) {
      const std::uint64_t* from = words.get() + kWords / kParts * static_cast<std::size_t>(part);
      std::uint64_t lanes[32] = {};
      for (std::size_t i = 0; i < kWords / kParts; i += 32) {
        for (std::size_t lane = 0; lane < 32; ++lane) lanes[lane] ^= from[i + lane];
      }
      for (const std::uint64_t lane : lanes) sums[static_cast<std::size_t>(part)] ^= lane;
    });
    const double rate = kWords * sizeof(std::uint64_t) / (now() - start);
    best = rate > best ? rate : best;
  }
  return best / 1e9;
}

double measure_int8_peak(WorkerTeam& team, CpuPath path) {
  switch (path) {
#if defined(__x86_64__)
    case CpuPath::avx2:
      return measure(team, maddubs_ymm, kChains * 64.0);
    case CpuPath::avx512:
      return measure(team, maddubs_zmm, kChains * 128.0);
    case CpuPath::avx512_vnni:
      return measure(team, dpbusd_zmm, kChains * 128.0);
#endif
    default:
      return 0.0;
  }
}

double measure_float_peak(WorkerTeam& team, CpuPath path) {
  switch (path) {
#if defined(__x86_64__)
    case CpuPath::avx2:
      return measure(team, fma_ymm, kChains * 16.0);
    case CpuPath::avx512:
    case CpuPath::avx512_vnni:
      return measure(team, fma_zmm, kChains * 32.0);
#endif
    default:
      return 0.0;
  }
}

}  // namespace mlxs
