// The edges of the histograms. Those of vLLM's metrics are vLLM's own, so that boards made for it
// show the same columns.
#pragma once

#include <array>
#include <cstdint>

namespace mlxs {

inline constexpr std::uint64_t kMsInNs = 1'000'000;

// Nanoseconds.
inline constexpr auto kFirstTokenEdges = std::to_array<std::uint64_t>(
    {1 * kMsInNs,       5 * kMsInNs,        10 * kMsInNs,     20 * kMsInNs,     40 * kMsInNs,
     60 * kMsInNs,      80 * kMsInNs,       100 * kMsInNs,    250 * kMsInNs,    500 * kMsInNs,
     750 * kMsInNs,     1000 * kMsInNs,     2500 * kMsInNs,   5000 * kMsInNs,   7500 * kMsInNs,
     10'000 * kMsInNs,  20'000 * kMsInNs,   40'000 * kMsInNs, 80'000 * kMsInNs, 160'000 * kMsInNs,
     640'000 * kMsInNs, 2'560'000 * kMsInNs}
);
inline constexpr auto kNextTokenEdges = std::to_array<std::uint64_t>(
    {10 * kMsInNs,
     25 * kMsInNs,
     50 * kMsInNs,
     75 * kMsInNs,
     100 * kMsInNs,
     150 * kMsInNs,
     200 * kMsInNs,
     300 * kMsInNs,
     400 * kMsInNs,
     500 * kMsInNs,
     750 * kMsInNs,
     1000 * kMsInNs,
     2500 * kMsInNs,
     5000 * kMsInNs,
     7500 * kMsInNs,
     10'000 * kMsInNs,
     20'000 * kMsInNs,
     40'000 * kMsInNs,
     80'000 * kMsInNs}
);
inline constexpr auto kRequestTimeEdges =
    std::to_array<std::uint64_t>({300 * kMsInNs,     500 * kMsInNs,       800 * kMsInNs,
                                  1000 * kMsInNs,    1500 * kMsInNs,      2000 * kMsInNs,
                                  2500 * kMsInNs,    5000 * kMsInNs,      10'000 * kMsInNs,
                                  15'000 * kMsInNs,  20'000 * kMsInNs,    30'000 * kMsInNs,
                                  40'000 * kMsInNs,  50'000 * kMsInNs,    60'000 * kMsInNs,
                                  120'000 * kMsInNs, 240'000 * kMsInNs,   480'000 * kMsInNs,
                                  960'000 * kMsInNs, 1'920'000 * kMsInNs, 7'680'000 * kMsInNs});
// Of a step; finer than vLLM's, as these are our own.
inline constexpr auto kStepTimeEdges = std::to_array<std::uint64_t>(
    {kMsInNs / 4,
     kMsInNs / 2,
     1 * kMsInNs,
     2 * kMsInNs,
     4 * kMsInNs,
     8 * kMsInNs,
     16 * kMsInNs,
     32 * kMsInNs,
     64 * kMsInNs,
     125 * kMsInNs,
     250 * kMsInNs,
     500 * kMsInNs,
     1000 * kMsInNs,
     4000 * kMsInNs,
     16'000 * kMsInNs}
);

// Tokens.
inline constexpr auto kTokenEdges = std::to_array<std::uint64_t>(
    {1,
     2,
     5,
     10,
     20,
     50,
     100,
     200,
     500,
     1000,
     2000,
     5000,
     10'000,
     20'000,
     50'000,
     100'000,
     200'000,
     500'000,
     1'000'000}
);
// vLLM's for a step are powers of two.
inline constexpr auto kStepTokenEdges =
    std::to_array<std::uint64_t>({1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16'384});
// Answers asked of one request.
inline constexpr auto kAnswerEdges = std::to_array<std::uint64_t>({1, 2, 5, 10, 20});

}  // namespace mlxs
