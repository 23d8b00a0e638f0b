// Lists and types of the pool.
#include "kernels/kv_pages.h"

#include <stdexcept>

namespace mlxs {

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
