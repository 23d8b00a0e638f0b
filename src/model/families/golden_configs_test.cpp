// ForEachModel: each golden configuration names exactly the tensors of its checkpoint, with their
// shapes.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ios>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "kernels/layer_spec.h"
#include "model/families/families.h"
#include "model/model_spec.h"

namespace mlxs {
namespace {

using Shape = std::vector<std::int64_t>;
using Tensors = std::map<std::string, Shape>;

const std::filesystem::path kModels = std::filesystem::path(MLXS_GOLDEN_DIR) / "models";

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The header of a safetensors file that we wrote ourselves: eight bytes of length, then JSON.
Tensors tensors_of(const std::filesystem::path& folder) {
  Tensors tensors;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    const std::string bytes = read_bytes(entry.path());
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof(length));
    const json::value header = parse_json(std::string_view(bytes).substr(sizeof(length), length));
    for (const auto& [name, info] : header.as_object()) {
      if (name != "__metadata__") tensors[name] = json::value_to<Shape>(info.at("shape"));
    }
  }
  return tensors;
}

void add_linear(
    Tensors& tensors, const std::string& name, Shape shape, const char* bias = nullptr
) {
  if (name.empty()) return;
  if (bias != nullptr) tensors[name + "." + bias] = {shape[0]};
  tensors[name + ".weight"] = std::move(shape);
}

void add_layer(Tensors& tensors, const LayerSpec& layer, std::int64_t hidden) {
  const AttentionSpec& attention = layer.attention;
  const std::int64_t q = std::int64_t{attention.num_heads} * attention.head_dim;
  const std::int64_t kv = std::int64_t{attention.num_kv_heads} * attention.head_dim;
  const std::int64_t wide = layer.mlp.intermediate_size;
  const char* qkv_bias = attention.has_qkv_bias ? "bias" : nullptr;
  const char* mlp_bias = layer.mlp.has_bias ? "bias" : nullptr;
  const LayerNames& names = layer.names;
  add_linear(tensors, names.q, {q, hidden}, qkv_bias);
  add_linear(tensors, names.k, {kv, hidden}, qkv_bias);
  add_linear(tensors, names.v, {kv, hidden}, qkv_bias);
  add_linear(tensors, names.qkv, {q + 2 * kv, hidden}, qkv_bias);
  add_linear(tensors, names.o, {hidden, q}, attention.has_output_bias ? "bias" : nullptr);
  add_linear(tensors, names.gate, {wide, hidden}, mlp_bias);
  add_linear(tensors, names.up, {wide, hidden}, mlp_bias);
  add_linear(tensors, names.gate_up, {2 * wide, hidden}, mlp_bias);
  add_linear(tensors, names.down, {hidden, wide}, mlp_bias);
  add_linear(tensors, names.q_norm, {attention.head_dim});
  add_linear(tensors, names.k_norm, {attention.head_dim});
  for (const std::string* norm :
       {&names.pre_attention_norm,
        &names.post_attention_norm,
        &names.pre_mlp_norm,
        &names.post_mlp_norm}) {
    add_linear(tensors, *norm, {hidden});
  }
}

Tensors needed_by(const ModelSpec& spec) {
  Tensors tensors;
  add_linear(tensors, spec.embedding_name, {spec.vocab_size, spec.hidden_size});
  add_linear(tensors, spec.final_norm_name, {spec.hidden_size});
  add_linear(tensors, spec.output_name, {spec.vocab_size, spec.hidden_size});
  for (const LayerSpec& layer : spec.layers) add_layer(tensors, layer, spec.hidden_size);
  return tensors;
}

// A packed weight keeps its rows; its scales tell that it is packed.
void expect_tensor(const Tensors& stored, const std::string& name, const Shape& shape) {
  ASSERT_TRUE(stored.contains(name)) << name;
  const std::string module = name.substr(0, name.rfind('.'));
  if (!name.ends_with(".weight") || !stored.contains(module + ".scales")) {
    EXPECT_EQ(stored.at(name), shape) << name;
    return;
  }
  EXPECT_EQ(stored.at(name)[0], shape[0]) << name;
  EXPECT_EQ(shape[1] % stored.at(module + ".scales")[1], 0) << name;
}

void expect_same_tensors(const ModelSpec& spec, const Tensors& stored) {
  const Tensors needed = needed_by(spec);
  for (const auto& [name, shape] : needed) expect_tensor(stored, name, shape);
  for (const auto& [name, shape] : stored) {
    const std::string ending = name.substr(name.rfind('.') + 1);
    const bool is_part = ending == "scales" || ending == "biases";
    const bool is_vision = name.find("vision_tower") != std::string::npos;
    EXPECT_TRUE(is_part || is_vision || needed.contains(name)) << "left over: " << name;
  }
}

TEST(GoldenConfigs, ForEachModelEveryTensorIsThereWithItsShape) {
  const json::value index = parse_json(read_bytes(kModels / "index.json"));
  std::set<std::string> families;
  for (const json::value& entry : index.at("cases").as_array()) {
    if (entry.at("layout").as_string() != "safetensors") continue;
    SCOPED_TRACE(std::string(entry.at("name").as_string()));
    const std::filesystem::path folder = kModels / std::string(entry.at("model").as_string());
    const Tensors stored = tensors_of(folder);
    const json::value config = parse_json(read_bytes(folder / "config.json"));
    const ModelSpec spec =
        make_model_spec(config.as_object(), "config.json", [&](std::string_view name) {
          return stored.contains(std::string(name));
        });
    EXPECT_EQ(spec.family, std::string(entry.at("family").as_string()));
    EXPECT_EQ(spec.vocab_size, entry.at("vocab_size").to_number<int>());
    expect_same_tensors(spec, stored);
    families.insert(spec.family);
  }
  EXPECT_EQ(
      families, (std::set<std::string>{"gemma3", "llama", "mistral", "phi3", "qwen2", "qwen3"})
  );
}

}  // namespace
}  // namespace mlxs
