// What an engine is opened with. Flags and environment variables of the same meaning are in
// src/base/settings.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace mlxs {

enum class DeviceKind { automatic, cpu, gpu };

// On the CPU: how activations meet a quantized weight. Other back ends and dense weights compute in
// floats.
enum class Precision {
  exact,     // as floats
  balanced,  // as 16-bit integers in groups of 32
  fast       // as 8-bit integers in groups of 32
};

struct EngineConfig {
  std::string model = {};                  // folder, .gguf file or alias; empty: the default model
  std::string random_weights_config = {};  // a config.json of Hugging Face's form: random weights
                                           // for it instead of a model; for benchmarks
  std::string home = {};  // where aliases look; empty: MLX_SERVING_HOME or ~/.cache/mlx-serving
  DeviceKind device = DeviceKind::automatic;  // automatic: the GPU where MLX has one
  int context_length = 0;  // tokens; 0: the model's own, and as many as kv_memory_bytes holds
  int max_sequences = 16;  // run at once; others wait
  int max_queue = 256;     // waiting requests; one more is refused with rate_limit_exceeded
  int step_tokens = 128;   // at most so many tokens of prompts and decodes in one forward pass
  std::int64_t kv_memory_bytes = 0;  // of the KV pool; 0: enough for max_sequences contexts, at
                                     // most a quarter of the machine's memory
  Precision precision = Precision::exact;  // on the CPU
  int num_threads = 0;       // of the CPU's kernels; 0: as many processors as this process may use
  int num_text_workers = 1;  // threads that render templates and tokenize
};

// Called during loading with bytes read and bytes in all, on the device thread, while the opener
// waits.
using LoadProgress = std::function<void(std::int64_t done_bytes, std::int64_t total_bytes)>;

}  // namespace mlxs
