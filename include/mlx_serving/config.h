// What an engine is opened with. Flags and environment variables of the same meaning are in
// src/base/settings.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace mlxs {

enum class DeviceKind { automatic, cpu, gpu };

// How keys and values are kept; automatic: as the model computes.
enum class KvDtype { automatic, float32, float16, bfloat16, int8 };

// What becomes of a sequence that has to make room for a more urgent one.
enum class Preemption {
  recompute,  // its keys and values are computed again
  swap,       // they are moved to host memory while swap_memory_bytes lasts
};

// On the CPU: how activations meet a quantized weight. Other back ends and dense weights compute in
// floats.
enum class Precision {
  exact,     // as floats
  balanced,  // as 16-bit integers in groups of 32
  fast       // as 8-bit integers in groups of 32
};

// What the operator promises of a model's answers. 0: nothing is promised of it.
struct SloTargets {
  double first_token_ms = 0.0;
  double next_token_ms = 0.0;
  double error_share = 0.0;  // of requests that may fail by a fault of ours, in [0, 1)
  double objective = 0.99;   // share of tokens that must be in time, in (0, 1)
};

// What the engine does while a target burns faster than it may (a burn rate above 1 over the last
// minute).
enum class SloAction {
  none,
  slow,  // late next tokens: prompts get less of each step
  shed,  // late first tokens or errors: requests of priority 0 and below are refused
  both
};

struct EngineConfig {
  std::string model = {};  // folder, .gguf file or alias; empty: the default model
  // A config.json of Hugging Face's form: random weights for it instead of the model's, of which
  // only the tokenizer and the template are used, or nothing where none is named. For benchmarks
  // and tests.
  std::string random_weights_config = {};
  std::string home = {};  // where aliases look; empty: MLX_SERVING_HOME or ~/.cache/mlx-serving
  DeviceKind device = DeviceKind::automatic;  // automatic: the GPU where MLX has one
  int context_length = 0;  // tokens; 0: the model's own, and as many as kv_memory_bytes holds
  int max_sequences = 16;  // run at once; others wait
  int max_queue = 256;     // waiting requests; one more is refused with rate_limit_exceeded
  int step_tokens = 128;   // at most so many tokens of prompts and decodes in one forward pass
  std::int64_t kv_memory_bytes = 0;  // of the KV pools; 0: enough for max_sequences contexts, at
                                     // most a quarter of the machine's memory
  double kv_memory_share = 0.0;  // of the memory beside the weights, in (0, 1]; 0: kv_memory_bytes
  KvDtype kv_dtype = KvDtype::automatic;
  bool prefix_cache = true;           // requests share what they have computed of equal beginnings
  std::string prefix_cache_dir = {};  // folder that keeps it over restarts; empty: none
  std::int64_t prefix_cache_disk_bytes = std::int64_t{10} << 30;  // of that folder at most
  // Milliseconds between two tokens that steps with prompts in them are kept to; 0: at most 1.8
  // times what decoding alone takes.
  double target_itl_ms = 0.0;
  Preemption preemption = Preemption::recompute;
  std::int64_t swap_memory_bytes = 0;  // host memory for Preemption::swap
  int in_flight_steps = 0;  // on the device at once; 0: 2 on a GPU, 1 on a CPU, which has nothing
                            // to overlap with; 1 to 4
  double step_timeout_s = 300.0;  // a step that takes longer has hung, and its requests fail
  // Weight of each key of SchedulingParams::key in the division of the device; others have 1.
  std::map<std::string, double> key_weights = {};
  std::string scheduler_trace = {};  // file for the scheduler's decisions, JSON lines; empty: none
  Precision precision = Precision::balanced;  // on the CPU
  // Refuses to open where a request's tokens could depend on what else runs: on a GPU. The CPU's
  // kernels sum in one order whatever the batch is, so there it is always so.
  bool deterministic = false;
  int num_threads = 0;       // of the CPU's kernels; 0: as many processors as this process may use
  int num_text_workers = 1;  // threads that render templates and tokenize
  bool telemetry = true;     // requests and steps are counted
  SloTargets slo = {};
  SloAction slo_action = SloAction::none;
  double memory_bandwidth = 0.0;  // bytes a second that the device can read; 0: not known
};

// Called during loading with bytes read and bytes in all, on the device thread, while the opener
// waits.
using LoadProgress = std::function<void(std::int64_t done_bytes, std::int64_t total_bytes)>;

}  // namespace mlxs
