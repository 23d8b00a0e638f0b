// How fast this machine's threads read memory together, the floor under every decoded token: prints
// GB/s, one number a run. Reads with the compiler's vectors from an array far larger than the
// caches. usage: bandwidth THREADS RUNS
#include <sys/mman.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kBytes = std::size_t{512} << 20U;
constexpr std::size_t kStride = 512;
constexpr std::size_t kHugePage = std::size_t{2} << 20U;
using Words = std::uint64_t __attribute__((vector_size(64)));

std::uint64_t read_all(const unsigned char* from, std::size_t num_bytes) {
  Words sums[kStride / sizeof(Words)] = {};
  for (std::size_t at = 0; at + kStride <= num_bytes; at += kStride) {
    for (std::size_t part = 0; part < kStride / sizeof(Words); ++part) {
      Words words;
      std::memcpy(&words, from + at + part * sizeof(Words), sizeof words);
      sums[part] ^= words;
    }
  }
  for (const Words& sum : sums) sums[0] ^= sum;
  return sums[0][0];
}

double gigabytes_per_second(const unsigned char* bytes, unsigned num_threads) {
  std::vector<std::uint64_t> sums(num_threads);
  std::vector<std::thread> threads;
  const std::size_t share = kBytes / num_threads / kStride * kStride;
  const auto start = std::chrono::steady_clock::now();
  for (unsigned index = 0; index < num_threads; ++index) {
    threads.emplace_back([&, index] { sums[index] = read_all(bytes + index * share, share); });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  volatile std::uint64_t used = sums[0];
  (void)used;
  return static_cast<double>(share) * num_threads / seconds.count() / 1e9;
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned num_threads =
      argc > 1 ? static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10)) : 1;
  const int num_runs = argc > 2 ? std::atoi(argv[2]) : 5;
  auto* const bytes = static_cast<unsigned char*>(std::aligned_alloc(kHugePage, kBytes));
  madvise(bytes, kBytes, MADV_HUGEPAGE);  // without it, part of the time goes to page tables
  std::memset(bytes, 1, kBytes);
  (void)gigabytes_per_second(bytes, num_threads);
  for (int run = 0; run < num_runs; ++run)
    std::printf("%.2f\n", gigabytes_per_second(bytes, num_threads));
  std::free(bytes);
}
