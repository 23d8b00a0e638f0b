// One step of one decoder layer on the CPU, on plain memory.
#pragma once

#include <cstddef>

#include "kernels/batch_view.h"
#include "kernels/decoder_layer/decoder_layer_cpu.h"
#include "kernels/kv_type.h"

namespace mlxs {

// The pool's layer and the rotation's tables, as they are when the task runs.
struct LayerMemory {
  const float* x = nullptr;  // [T, E]
  float* out = nullptr;      // [T, E]
  std::byte* keys = nullptr;
  std::byte* values = nullptr;
  float* key_scales = nullptr;
  float* value_scales = nullptr;
  const float* cos = nullptr;  // [T, num_pairs]; nullptr: no rotation
  const float* sin = nullptr;
  int num_pairs = 0;
  int page_size = 0;
  int group = 0;
  KvType type = KvType::float32;
};

// Runs all phases of the layer with the team of its context, whose scratch it resets.
void run_layer(const CpuLayer& layer, const HostBatch& batch, const LayerMemory& memory);

}  // namespace mlxs
