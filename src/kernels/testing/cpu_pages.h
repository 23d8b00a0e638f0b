// A pool as the CPU's own layers arrange it (kernels/kv_type.h), from one in the order of its
// array. Tests only.
#pragma once

#include <mlx/ops.h>

#include "kernels/kv_pages.h"
#include "kernels/mx.h"

namespace mlxs::testing {

// [P, S, Hkv, D] keys -> the same shape and type, rearranged.
inline mx::array cpu_keys(const mx::array& keys) {
  const int columns_of_word = static_cast<int>(4 / keys.itemsize());
  const int num_pages = keys.shape(0);
  const int num_heads = keys.shape(2);
  const int whole = keys.shape(3) / columns_of_word * columns_of_word;
  const mx::Shape flat{num_pages, num_heads, -1};
  const auto part = [&](int first, int last) {
    return mx::contiguous(
        mx::slice(keys, {0, 0, 0, first}, {num_pages, keys.shape(1), num_heads, last})
    );
  };
  // [P, Hkv, D, S]
  mx::array rest = mx::reshape(
      mx::contiguous(mx::transpose(part(whole, keys.shape(3)), {0, 2, 3, 1})),
      {num_pages, num_heads, (keys.shape(3) - whole) * keys.shape(1)}
  );
  if (whole == 0) return mx::reshape(rest, keys.shape());
  const mx::array words = mx::view(part(0, whole), mx::uint32);
  const mx::array by_word = mx::contiguous(mx::transpose(words, {0, 2, 3, 1}));
  const mx::array streamed = mx::reshape(mx::view(by_word, keys.dtype()), flat);
  return mx::contiguous(mx::reshape(mx::concatenate({streamed, rest}, -1), keys.shape()));
}

// [P, S, Hkv, D] values or [P, S, Hkv, 1] scales, likewise.
inline mx::array cpu_values(const mx::array& values) {
  return mx::reshape(mx::contiguous(mx::transpose(values, {0, 2, 1, 3})), values.shape());
}

inline KvLayer cpu_pages(const KvLayer& layer) {
  KvLayer result = layer;
  result.keys = cpu_keys(layer.keys);
  result.values = cpu_values(layer.values);
  if (layer.key_scales) result.key_scales = cpu_values(*layer.key_scales);
  if (layer.value_scales) result.value_scales = cpu_values(*layer.value_scales);
  for (mx::array* array : {&result.keys, &result.values}) array->eval();
  if (result.is_quantized()) mx::eval(*result.key_scales, *result.value_scales);
  return result;
}

}  // namespace mlxs::testing
