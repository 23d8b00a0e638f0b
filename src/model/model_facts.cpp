// Counts over the validated headers of a checkpoint.
#include "model/model_facts.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "base/checked.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/file_error.h"
#include "model/checkpoint/quantization.h"
#include "model/checkpoint/tensor_info.h"
#include "model/families/families.h"
#include "model/model_spec.h"

namespace mlxs {
namespace {

constexpr std::string_view kWeightSuffix = ".weight";

// The module of a packed weight; nothing for other tensors.
std::optional<Quantization> packing_of(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  if (tensor.type != TensorType::u32 || !tensor.name.ends_with(kWeightSuffix)) return std::nullopt;
  return checkpoint.quantization_of(tensor.name.substr(0, tensor.name.size() - kWeightSuffix.size())
  );
}

// Scales and biases of a packed weight belong to its quantization, not to the model.
bool belongs_to_packing(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  for (const std::string_view suffix : {".scales", ".biases"}) {
    if (!tensor.name.ends_with(suffix)) continue;
    const std::string module = tensor.name.substr(0, tensor.name.size() - suffix.size());
    const TensorInfo* weight = checkpoint.find(module + std::string(kWeightSuffix));
    return weight != nullptr && weight->type == TensorType::u32;
  }
  return false;
}

std::int64_t count_elements(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  std::optional<std::int64_t> count = 1;
  for (const std::int64_t size : tensor.shape)
    count = count ? checked_mul(*count, size) : std::nullopt;
  const auto packing = packing_of(checkpoint, tensor);
  if (count && packing) count = checked_mul<std::int64_t>(*count, 32);
  if (!count)
    throw invalid_model(
        checkpoint.path(), "tensor {} is too large to count", quote_for_message(tensor.name)
    );
  return packing ? *count / packing->bits : *count;
}

std::int64_t count_parameters(const Checkpoint& checkpoint) {
  std::int64_t sum = 0;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (belongs_to_packing(checkpoint, tensor)) continue;
    const auto next = checked_add(sum, count_elements(checkpoint, tensor));
    if (!next) throw invalid_model(checkpoint.path(), "its tensors are too large to count");
    sum = *next;
  }
  return sum;
}

std::string storage_name(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  if (const auto packing = packing_of(checkpoint, tensor)) {
    return fmt::format("{}-bit affine, groups of {}", packing->bits, packing->group_size);
  }
  switch (tensor.type) {
    case TensorType::f32:
      return "float32";
    case TensorType::f16:
      return "float16";
    case TensorType::bf16:
      return "bfloat16";
    default:
      return std::string(tensor.type_name);
  }
}

}  // namespace

std::string describe_quantization(const Checkpoint& checkpoint) {
  std::map<std::string, std::uint64_t> bytes;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (!belongs_to_packing(checkpoint, tensor))
      bytes[storage_name(checkpoint, tensor)] += tensor.num_bytes;
  }
  if (bytes.empty()) return "none";
  return std::ranges::max_element(bytes, {}, [](const auto& entry) { return entry.second; })->first;
}

ModelFacts read_model_facts(const Checkpoint& checkpoint) {
  const auto has_tensor = [&checkpoint](std::string_view name) {
    return checkpoint.find(name) != nullptr;
  };
  const ModelSpec spec = make_model_spec(checkpoint.config(), checkpoint.path(), has_tensor);
  ModelFacts facts;
  facts.family = spec.family;
  facts.format = checkpoint.format() == Checkpoint::Format::gguf ? "gguf" : "safetensors";
  facts.quantization = describe_quantization(checkpoint);
  facts.num_layers = static_cast<int>(spec.layers.size());
  facts.hidden_size = spec.hidden_size;
  facts.vocab_size = spec.vocab_size;
  facts.context_length = spec.context_length;
  facts.num_parameters = count_parameters(checkpoint);
  facts.weight_bytes = static_cast<std::int64_t>(checkpoint.total_tensor_bytes());
  for (const LayerSpec& layer : spec.layers) {
    facts.kv_values_per_token +=
        std::int64_t{2} * layer.attention.num_kv_heads * layer.attention.head_dim;
  }
  facts.has_chat_template = !checkpoint.text().chat_template.empty();
  return facts;
}

}  // namespace mlxs
