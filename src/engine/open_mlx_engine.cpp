// Engine::open: from a configuration to the parts of an engine on MLX. Everything that can be
// refused is refused before the weights are read.
#include <mlx/device.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "engine/engine_parts.h"
#include "engine/kv_budget.h"
#include "engine/mlx_runner.h"
#include "engine/request_check.h"
#include "model/checkpoint/json_file.h"
#include "model/families/families.h"
#include "model/model.h"
#include "model/model_facts.h"
#include "model/model_files.h"
#include "model/random_weights.h"

namespace mlxs {
namespace {

mx::Device pick_device(DeviceKind kind) {
  const bool has_gpu = mx::is_available(mx::Device::gpu);
  if (kind == DeviceKind::gpu && !has_gpu) {
    throw Error(
        ErrorCode::invalid_config,
        "device is gpu, but this MLX has no GPU to use; install the CUDA or Metal back end, or "
        "choose cpu"
    );
  }
  return kind == DeviceKind::cpu || !has_gpu ? mx::Device::cpu : mx::Device::gpu;
}

std::int64_t machine_memory_bytes() {
  return static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::int64_t>(sysconf(_SC_PAGESIZE));
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

// What the parts of both kinds of model have in common.
EngineParts plan_parts(const EngineConfig& config, ModelInfo info) {
  const KvBudget budget = plan_kv(
      config,
      {.bytes_per_token = info.kv_bytes_per_token,
       .model_context = info.context_length,
       .memory_bytes = machine_memory_bytes()}
  );
  EngineParts parts;
  info.context_length = budget.context_length;
  parts.info = std::move(info);
  parts.scheduler = {
      .max_sequences = config.max_sequences,
      .step_tokens = config.step_tokens,
      .num_pages = budget.num_pages,
      .page_size = budget.page_size
  };
  parts.max_queue = config.max_queue;
  parts.num_text_workers = config.num_text_workers;
  return parts;
}

std::unique_ptr<Runner> make_runner(Model model, const SchedulerOptions& options) {
  // One page table a sequence serves every group, so all have as many pages.
  KvPages pages = model.make_kv_pages(
      {.num_pages = std::vector<int>(model.layer_groups().size(), options.num_pages),
       .page_size = options.page_size}
  );
  return std::make_unique<MlxRunner>(std::move(model), std::move(pages));
}

std::string model_name(const std::filesystem::path& path) {
  const auto clean = path.has_filename() ? path : path.parent_path();
  return clean.extension() == ".gguf" ? clean.stem().string() : clean.filename().string();
}

EngineParts parts_of_model(const EngineConfig& config, const LoadProgress& progress) {
  const auto path = resolve_model(config.model, config.home);
  const auto checkpoint = std::make_shared<const Checkpoint>(Checkpoint::open(path));
  const ModelFacts facts = read_model_facts(*checkpoint);
  const auto has_tensor = [&checkpoint](std::string_view name) {
    return checkpoint->find(name) != nullptr;
  };
  const ModelSpec spec = make_model_spec(checkpoint->config(), checkpoint->path(), has_tensor);
  const mx::Device device = pick_device(config.device);
  auto text =
      std::make_shared<const TextModel>(make_text_model(checkpoint->text(), checkpoint->path()));

  ModelInfo info{
      .name = model_name(path),
      .family = facts.family,
      .quantization = facts.quantization,
      .vocab_size = facts.vocab_size,
      .context_length = facts.context_length,
      .weight_bytes = facts.weight_bytes,
      .kv_bytes_per_token =
          facts.kv_values_per_token *
          static_cast<std::int64_t>(mx::size_of(activation_dtype(*checkpoint, spec, device))),
      .has_chat_template = text->chat_template.has_value()
  };
  info.default_sampling = default_sampling(checkpoint->text().generation, info, checkpoint->path());

  EngineParts parts = plan_parts(config, std::move(info));
  parts.text = std::move(text);
  parts.make_runner = [checkpoint, spec, device, progress, options = parts.scheduler] {
    return make_runner(
        Model::load(*checkpoint, spec, {.device = device, .progress = progress}), options
    );
  };
  return parts;
}

EngineParts parts_of_random_weights(const EngineConfig& config) {
  const std::filesystem::path path = config.random_weights_config;
  const json::object object = read_json_object(path);
  const ModelSpec spec = make_model_spec(object, path.string());
  const mx::Device device = pick_device(config.device);
  const RandomWeights weights = read_random_weights(object, path.string(), device);

  std::int64_t kv_values = 0;
  for (const LayerSpec& layer : spec.layers) {
    kv_values += std::int64_t{2} * layer.attention.num_kv_heads * layer.attention.head_dim;
  }
  EngineParts parts = plan_parts(
      config,
      {.name = "random-" + spec.family,
       .family = spec.family,
       .quantization = weights.description,
       .vocab_size = spec.vocab_size,
       .context_length = spec.context_length,
       .weight_bytes = matrix_bytes(spec, weights),
       .kv_bytes_per_token = kv_values * static_cast<std::int64_t>(mx::size_of(weights.activations))
      }
  );
  parts.text = std::make_shared<const TextModel>(make_placeholder_text_model(spec.vocab_size));
  parts.make_runner = [spec, weights, device, options = parts.scheduler] {
    return make_runner(Model::random(spec, weights, {.device = device}), options);
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
