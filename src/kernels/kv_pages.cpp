// Lists and types of the pool.
#include "kernels/kv_pages.h"

#include <mlx/allocator.h>
#include <mlx/ops.h>
#include <mlx/utils.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "kernels/kv_type.h"
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace mlxs {
namespace {

constexpr std::size_t kCacheLine = 64;

// RETURNS: how far the next multiple of `alignment` is.
std::size_t bytes_to(const std::byte* begin, std::size_t alignment) {
  return (alignment - reinterpret_cast<std::uintptr_t>(begin) % alignment) % alignment;
}

// For the whole ones in it. A system without large pages goes on with small ones.
void prefer_large_pages([[maybe_unused]] std::byte* begin, [[maybe_unused]] std::size_t num_bytes) {
#ifdef MADV_HUGEPAGE
  constexpr std::size_t kLargePage = std::size_t{1} << 21;
  const std::size_t skipped = bytes_to(begin, kLargePage);
  if (num_bytes < skipped + kLargePage) return;
  const std::size_t whole = (num_bytes - skipped) / kLargePage * kLargePage;
  static_cast<void>(madvise(begin + skipped, whole, MADV_HUGEPAGE));
#endif
}

}  // namespace

std::vector<mx::array> KvPages::arrays() const {
  std::vector<mx::array> all;
  for (const KvLayer& layer : layers) {
    all.push_back(layer.keys);
    all.push_back(layer.values);
    if (layer.key_scales) all.push_back(*layer.key_scales);
    if (layer.value_scales) all.push_back(*layer.value_scales);
  }
  return all;
}

mx::array make_kv_array(const mx::Shape& shape, mx::Dtype dtype) {
  std::size_t num_values = 1;
  for (const int extent : shape) num_values *= static_cast<std::size_t>(extent);
  const std::size_t num_bytes = num_values * mx::size_of(dtype);
  mx::allocator::Data data = mx::allocator::malloc(num_bytes + kCacheLine);
  if (data.buffer().ptr() == nullptr) throw std::bad_alloc();
  mx::array whole(std::move(data), shape, dtype);
  if (mx::to_stream({}).device != mx::Device::cpu) return whole;
  // MLX's allocator aligns to half a vector, with which every row would take a cache line more.
  const std::size_t skipped = bytes_to(whole.data<std::byte>(), kCacheLine);
  prefer_large_pages(whole.data<std::byte>() + skipped, num_bytes);
  mx::array aligned(shape, dtype, nullptr, {});
  const auto offset = static_cast<std::int64_t>(skipped / mx::size_of(dtype));
  aligned.copy_shared_buffer(whole, whole.strides(), whole.flags(), num_values, offset);
  aligned.set_status(mx::array::Status::available);
  return aligned;
}

mx::Dtype kv_dtype(KvType type) {
  switch (type) {
    case KvType::float32:
      return mx::float32;
    case KvType::float16:
      return mx::float16;
    case KvType::bfloat16:
      return mx::bfloat16;
    case KvType::int8:
      return mx::int8;
  }
  throw std::invalid_argument("[kv_dtype] unknown type");
}

}  // namespace mlxs
