// Mutation and the judgement of its results.
#include "model/checkpoint/testing/hostile_files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <exception>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "mlx_serving/error.h"
#include "model/checkpoint/tensor_info.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MLXS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MLXS_SANITIZED 1
#endif
#endif

namespace mlxs::testing {
namespace {

std::size_t random_place(const std::string& bytes, std::mt19937& rng) {
  // Half of the changes hit the first 4 KiB, where the headers of small files lie.
  const std::size_t limit =
      rng() % 2 == 0 ? std::min<std::size_t>(bytes.size(), 4096) : bytes.size();
  return std::uniform_int_distribution<std::size_t>(0, limit - 1)(rng);
}

void mutate_once(std::string& bytes, std::mt19937& rng) {
  constexpr std::array<std::uint64_t, 10> kNumbers = {
      0,
      1,
      0x7F,
      0xFF,
      0x7FFFFFFF,
      0xFFFFFFFF,
      0x7FFFFFFFFFFFFFC0,
      0x7FFFFFFFFFFFFFFF,
      0x8000000000000000,
      ~0ULL
  };
  if (bytes.empty()) return;
  const std::size_t place = random_place(bytes, rng);
  const std::size_t run = std::min<std::size_t>(1 + rng() % 16, bytes.size() - place);
  switch (rng() % 7) {
    case 0:
      bytes[place] = static_cast<char>(bytes[place] ^ (1 << (rng() % 8)));
      break;
    case 1:
      bytes[place] = static_cast<char>(rng());
      break;
    case 2:
      std::fill_n(
          bytes.begin() + static_cast<std::ptrdiff_t>(place), run, static_cast<char>(rng())
      );
      break;
    case 3: {
      const std::uint64_t number = kNumbers[rng() % kNumbers.size()];
      std::memcpy(
          &bytes[place], &number, std::min<std::size_t>(sizeof(number), bytes.size() - place)
      );
      break;
    }
    case 4:
      bytes.resize(place);
      break;
    case 5:
      bytes.insert(place, run, static_cast<char>(rng()));
      break;
    default:
      bytes.erase(place, run);
      break;
  }
}

}  // namespace

Outcome expect_sound(const std::string& description, const std::function<void()>& load) {
  Outcome outcome = Outcome::accepted;
  const std::clock_t start = std::clock();
  try {
    load();
  } catch (const Error& error) {
    outcome = Outcome::refused;
    const bool is_model_error =
        error.code() == ErrorCode::invalid_model || error.code() == ErrorCode::unsupported_model;
    EXPECT_TRUE(is_model_error) << description << ": " << error.what();
    EXPECT_NE(std::string(error.what()).find(": "), std::string::npos) << error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << description << ": a foreign exception: " << error.what();
  }
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  EXPECT_LT(seconds, 1.0) << description;
  return outcome;
}

std::string mutate(std::string bytes, std::mt19937& rng) {
  const std::size_t num_changes = 1 + rng() % 4;
  for (std::size_t i = 0; i < num_changes; ++i) mutate_once(bytes, rng);
  return bytes;
}

void expect_placed(std::span<const TensorInfo> tensors, std::uint64_t file_bytes) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (const TensorInfo& tensor : tensors) {
    ASSERT_LE(tensor.offset, file_bytes) << tensor.name;
    ASSERT_LE(tensor.num_bytes, file_bytes - tensor.offset) << tensor.name;
    if (tensor.num_bytes > 0) ranges.emplace_back(tensor.offset, tensor.offset + tensor.num_bytes);
  }
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i) ASSERT_GE(ranges[i].first, ranges[i - 1].second);
}

std::uint64_t peak_memory_bytes() {
#if defined(MLXS_SANITIZED)
  return 0;
#else
  struct rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
#if defined(__APPLE__)
  return static_cast<std::uint64_t>(usage.ru_maxrss);
#else
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
#endif
#endif
}

}  // namespace mlxs::testing
