// The KV pool: pages of keys and values. Layers with an equal attention window are a group; every
// group has its own pages, with ids of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/kv_type.h"
#include "kernels/mx.h"

namespace mlxs {

// One layer's part of the pool. What is where inside of a page: kernels/kv_type.h.
struct KvLayer {
  mx::array keys;    // [P, S, Hkv, D] float32, float16, bfloat16 or int8
  mx::array values;  // as keys
  // int8: [P, S, Hkv, 1] float32, what each head of each token is multiplied by; else not set
  std::optional<mx::array> key_scales = {};
  std::optional<mx::array> value_scales = {};
  int group = 0;  // whose page tables and slots count

  [[nodiscard]] bool is_quantized() const { return key_scales.has_value(); }
};

struct PageGroupShape {
  int num_pages = 0;
  int window = 0;  // tokens that a layer of the group sees, itself included; 0: all before it
};

struct PoolShape {
  int page_size = 0;  // S
  std::vector<PageGroupShape> groups;
};

struct KvPages {
  PoolShape shape;
  std::vector<KvLayer> layers;

  // RETURNS: every array, in the order of the layers; for whoever evaluates the pool.
  [[nodiscard]] std::vector<mx::array> arrays() const;
};

// An array without content, in large pages of the system where the CPU reads it and there are such:
// attention jumps about in it. Memory that is not touched is not taken. ERRORS: std::bad_alloc.
[[nodiscard]] mx::array make_kv_array(const mx::Shape& shape, mx::Dtype dtype);

[[nodiscard]] mx::Dtype kv_dtype(KvType type);

}  // namespace mlxs
