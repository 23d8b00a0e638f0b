// Engine::open: from a configuration to the parts of an engine on MLX. Everything that can be
// refused is refused before the weights are read.
#include <mlx/device.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cache/disk_tier.h"
#include "cache/file_system.h"
#include "engine/engine_parts.h"
#include "engine/kv_budget.h"
#include "engine/mlx_runner.h"
#include "engine/model_fingerprint.h"
#include "engine/request_check.h"
#include "engine/trace_file.h"
#include "kernels/kv_type.h"
#include "model/checkpoint/json_file.h"
#include "model/families/families.h"
#include "model/layer_groups.h"
#include "model/model.h"
#include "model/model_facts.h"
#include "model/model_files.h"
#include "model/random_weights.h"

namespace mlxs {
namespace {

// Rows of a prompt that a step takes whatever they cost. Fewer than a page: behind a long context a
// row costs as much as many decodes.
constexpr int kMinPrefillRows = 12;

mx::Device pick_device(const EngineConfig& config) {
  const DeviceKind kind = config.device;
  const bool has_gpu = mx::is_available(mx::Device::gpu);
  if (kind == DeviceKind::gpu && !has_gpu) {
    throw Error(
        ErrorCode::invalid_config,
        "device is gpu, but this MLX has no GPU to use; install the CUDA or Metal back end, or "
        "choose cpu"
    );
  }
  const bool is_cpu = kind == DeviceKind::cpu || !has_gpu;
  if (config.deterministic && !is_cpu) {
    throw Error(
        ErrorCode::invalid_config,
        "deterministic is on, but on a GPU the order of sums depends on the batch; set device to "
        "cpu, or deterministic to false"
    );
  }
  return is_cpu ? mx::Device::cpu : mx::Device::gpu;
}

std::int64_t machine_memory_bytes() {
  return static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::int64_t>(sysconf(_SC_PAGESIZE));
}

// What the device has of its own and nobody uses yet; nothing where its memory is the machine's.
std::optional<std::int64_t> free_device_memory_bytes(mx::Device device) {
  if (device != mx::Device::gpu) return std::nullopt;
  const auto& facts = mx::device_info(device);
  const auto found = facts.find("free_memory");
  if (found == facts.end() || !std::holds_alternative<std::size_t>(found->second))
    return std::nullopt;
  return static_cast<std::int64_t>(std::get<std::size_t>(found->second));
}

// A GPU is the model's alone, but for what steps write on their way.
constexpr std::int64_t kGpuStepBytes = std::int64_t{2} << 30;
constexpr double kGpuShare = 0.9;

void check_weights_fit(std::int64_t weight_bytes, std::int64_t free_bytes) {
  if (weight_bytes + kGpuStepBytes <= free_bytes) return;
  throw Error(
      ErrorCode::invalid_config,
      fmt::format(
          "the model's weights take {} bytes and its steps up to {}, but the GPU has {} bytes "
          "free; "
          "take a smaller or a quantized model, or device cpu",
          weight_bytes,
          kGpuStepBytes,
          free_bytes
      )
  );
}

// The files' recommendation is input like any other, so it passes the same check as a request.
SamplingParams default_sampling(
    const GenerationDefaults& defaults, const ModelInfo& info, const std::string& path
) {
  Request request;
  SamplingParams& params = request.sampling;
  params.temperature = static_cast<float>(defaults.temperature.value_or(params.temperature));
  params.top_k = defaults.top_k.value_or(params.top_k);
  params.top_p = static_cast<float>(defaults.top_p.value_or(params.top_p));
  params.min_p = static_cast<float>(defaults.min_p.value_or(params.min_p));
  params.repetition_penalty =
      static_cast<float>(defaults.repetition_penalty.value_or(params.repetition_penalty));
  try {
    check_request(request, info);
  } catch (const Error& error) {
    throw Error(
        ErrorCode::invalid_model, fmt::format("{}: generation_config.json: {}", path, error.what())
    );
  }
  return params;
}

// What `auto` stands for: as the model computes, but where the CPU's products round activations
// anyway halves are precise enough, and half as much to read.
KvType automatic_kv_type(const EngineConfig& config, mx::Device device, mx::Dtype activations) {
  const bool rounds = device == mx::Device::cpu && config.precision != Precision::exact;
  if (rounds || activations == mx::float16) return KvType::float16;
  return activations == mx::bfloat16 ? KvType::bfloat16 : KvType::float32;
}

KvType kv_type_of(const EngineConfig& config, mx::Device device, mx::Dtype activations) {
  switch (config.kv_dtype) {
    case KvDtype::automatic:
      return automatic_kv_type(config, device, activations);
    case KvDtype::float32:
      return KvType::float32;
    case KvDtype::float16:
      return KvType::float16;
    case KvDtype::bfloat16:
      return KvType::bfloat16;
    case KvDtype::int8:
      return KvType::int8;
  }
  throw std::logic_error("a type of keys and values without a name");
}

std::int64_t kv_bytes_per_token(const std::vector<LayerGroup>& groups) {
  std::int64_t sum = 0;
  for (const LayerGroup& group : groups) sum += group.bytes_per_token;
  return sum;
}

KvDemand demand_of(
    const std::vector<LayerGroup>& groups, const ModelInfo& info, mx::Device device
) {
  KvDemand demand{
      .groups = {},
      .model_context = info.context_length,
      .memory_bytes = std::max<std::int64_t>(0, machine_memory_bytes() - info.weight_bytes)
  };
  for (const LayerGroup& group : groups)
    demand.groups.push_back({.window = group.window, .bytes_per_token = group.bytes_per_token});
  if (const auto free_bytes = free_device_memory_bytes(device)) {
    check_weights_fit(info.weight_bytes, *free_bytes);
    demand.memory_bytes = *free_bytes - info.weight_bytes - kGpuStepBytes;
    demand.default_share = kGpuShare;
  }
  return demand;
}

// Host pages of each group, so that all together take at most swap_memory_bytes.
int host_pages(const EngineConfig& config, const ModelInfo& info, int page_size) {
  const std::int64_t bytes_of_one = info.kv_bytes_per_token * page_size;
  return static_cast<int>(std::min<std::int64_t>(
      config.swap_memory_bytes / std::max<std::int64_t>(1, bytes_of_one),
      std::numeric_limits<int>::max() / 2
  ));
}

SubmissionRingOptions ring_options(const EngineConfig& config, mx::Device device) {
  const int automatic = device == mx::Device::gpu ? 2 : 1;
  return {
      .capacity = config.in_flight_steps == 0 ? automatic : config.in_flight_steps,
      .timeout = std::chrono::milliseconds(static_cast<std::int64_t>(config.step_timeout_s * 1e3))
  };
}

// What the parts of both kinds of model have in common.
EngineParts plan_parts(
    const EngineConfig& config,
    ModelInfo info,
    const std::vector<LayerGroup>& groups,
    mx::Device device
) {
  const KvBudget budget = plan_kv(config, demand_of(groups, info, device));
  EngineParts parts;
  info.context_length = budget.context_length;
  parts.scheduler = {
      .max_sequences = config.max_sequences,
      .step_tokens = config.step_tokens,
      .cache = budget.layout,
      .prefix_caching = config.prefix_cache,
      .target_itl_ms = config.target_itl_ms,
      .min_prefill_rows = kMinPrefillRows,
      .max_waiting = config.max_queue + config.max_sequences,
      .key_weights = config.key_weights,
      .preemption =
          config.preemption == Preemption::swap ? PreemptionKind::swap : PreemptionKind::recompute,
      .host_pages = host_pages(config, info, budget.layout.page_size)
  };
  parts.ring = ring_options(config, device);
  parts.info = std::move(info);
  parts.max_queue = config.max_queue;
  parts.num_text_workers = config.num_text_workers;
  parts.telemetry = {
      .is_on = config.telemetry, .slo = config.slo, .memory_bandwidth = config.memory_bandwidth
  };
  parts.slo_action = config.slo_action;
  if (!config.scheduler_trace.empty())
    parts.make_trace = [path = config.scheduler_trace] { return open_trace_file(path); };
  return parts;
}

std::unique_ptr<Runner> make_runner(Model model, const CacheLayout& layout, KvType type) {
  KvPoolOptions options{.num_pages = {}, .page_size = layout.page_size, .type = type};
  for (const PageGroup& group : layout.groups) options.num_pages.push_back(group.num_pages);
  KvPages pages = model.make_kv_pages(options);
  return std::make_unique<MlxRunner>(std::move(model), std::move(pages));
}

std::string model_name(const std::filesystem::path& path) {
  const auto clean = path.has_filename() ? path : path.parent_path();
  return clean.extension() == ".gguf" ? clean.stem().string() : clean.filename().string();
}

ModelOptions options_of_model(
    const EngineConfig& config, mx::Device device, const LoadProgress& progress
) {
  return {
      .device = device,
      .num_threads = config.num_threads,
      .precision = config.precision,
      .progress = progress
  };
}

std::string computation_of(
    const EngineConfig& config, const CacheLayout& layout, mx::Device device, KvType type
) {
  std::string text = fmt::format(
      "device {} kv {} precision {} pages of {} by head",
      device == mx::Device::gpu ? "gpu" : "cpu",
      static_cast<int>(type),
      static_cast<int>(config.precision),
      layout.page_size
  );
  for (const PageGroup& group : layout.groups) text += fmt::format(" window {}", group.window);
  return text;
}

std::unique_ptr<DiskTier> open_disk_tier(
    const EngineConfig& config, const Checkpoint& checkpoint, const std::string& computation
) {
  return std::make_unique<DiskTier>(
      open_folder(config.prefix_cache_dir),
      DiskTierOptions{
          .model = model_fingerprint(checkpoint, computation),
          .max_bytes = static_cast<std::uint64_t>(config.prefix_cache_disk_bytes)
      }
  );
}

EngineParts parts_of_model(const EngineConfig& config, const LoadProgress& progress) {
  const auto path = resolve_model(config.model, config.home);
  const auto checkpoint = std::make_shared<const Checkpoint>(Checkpoint::open(path));
  const ModelFacts facts = read_model_facts(*checkpoint);
  const auto has_tensor = [&checkpoint](std::string_view name) {
    return checkpoint->find(name) != nullptr;
  };
  const ModelSpec spec = make_model_spec(checkpoint->config(), checkpoint->path(), has_tensor);
  const mx::Device device = pick_device(config);
  auto text =
      std::make_shared<const TextModel>(make_text_model(checkpoint->text(), checkpoint->path()));

  const KvType kv_type = kv_type_of(config, device, activation_dtype(*checkpoint, spec, device));
  const std::vector<LayerGroup> groups = layer_groups(spec, kv_type);
  ModelInfo info{
      .name = model_name(path),
      .family = facts.family,
      .quantization = facts.quantization,
      .vocab_size = facts.vocab_size,
      .context_length = facts.context_length,
      .weight_bytes = facts.weight_bytes,
      .kv_bytes_per_token = kv_bytes_per_token(groups),
      .has_chat_template = text->chat_template.has_value(),
      .fill_in_middle = find_fill_in_middle(text->tokenizer)
  };
  info.default_sampling = default_sampling(checkpoint->text().generation, info, checkpoint->path());

  EngineParts parts = plan_parts(config, std::move(info), groups, device);
  parts.text = std::move(text);
  const bool is_kept = config.prefix_cache && !config.prefix_cache_dir.empty();
  if (is_kept) {
    parts.make_disk_tier = [checkpoint,
                            config,
                            computation =
                                computation_of(config, parts.scheduler.cache, device, kv_type)] {
      return open_disk_tier(config, *checkpoint, computation);
    };
  }
  parts.make_runner = [checkpoint,
                       spec,
                       model_options = options_of_model(config, device, progress),
                       layout = parts.scheduler.cache,
                       kv_type] {
    return make_runner(Model::load(*checkpoint, spec, model_options), layout, kv_type);
  };
  return parts;
}

// ERRORS: invalid_config where the tokenizer has tokens that the weights do not.
TextModel text_beside_random(const EngineConfig& config, const ModelSpec& spec) {
  if (config.model.empty()) return make_placeholder_text_model(spec.vocab_size);
  const Checkpoint checkpoint = Checkpoint::open(resolve_model(config.model, config.home));
  TextModel text = make_text_model(checkpoint.text(), checkpoint.path());
  if (text.tokenizer.vocab_size() <= spec.vocab_size) return text;
  throw Error(
      ErrorCode::invalid_config,
      fmt::format(
          "random weights for {} tokens do not fit {}'s tokenizer of {}",
          spec.vocab_size,
          checkpoint.path(),
          text.tokenizer.vocab_size()
      )
  );
}

EngineParts parts_of_random_weights(const EngineConfig& config) {
  const std::filesystem::path path = config.random_weights_config;
  const json::object object = read_json_object(path);
  const ModelSpec spec = make_model_spec(object, path.string());
  const mx::Device device = pick_device(config);
  const RandomWeights weights = read_random_weights(object, path.string(), device);

  const KvType kv_type = kv_type_of(config, device, weights.activations);
  const std::vector<LayerGroup> groups = layer_groups(spec, kv_type);
  EngineParts parts = plan_parts(
      config,
      {.name = "random-" + spec.family,
       .family = spec.family,
       .quantization = weights.description,
       .vocab_size = spec.vocab_size,
       .context_length = spec.context_length,
       .weight_bytes = matrix_bytes(spec, weights),
       .kv_bytes_per_token = kv_bytes_per_token(groups)},
      groups,
      device
  );
  parts.text = std::make_shared<const TextModel>(text_beside_random(config, spec));
  parts.info.has_chat_template = parts.text->chat_template.has_value();
  parts.make_runner = [spec,
                       weights,
                       model_options = options_of_model(config, device, {}),
                       layout = parts.scheduler.cache,
                       kv_type] {
    return make_runner(Model::random(spec, weights, model_options), layout, kv_type);
  };
  return parts;
}

}  // namespace

std::unique_ptr<Engine> Engine::open(const EngineConfig& config, const LoadProgress& progress) {
  const bool is_random = !config.random_weights_config.empty();
  return std::make_unique<Engine>(
      is_random ? parts_of_random_weights(config) : parts_of_model(config, progress)
  );
}

}  // namespace mlxs
