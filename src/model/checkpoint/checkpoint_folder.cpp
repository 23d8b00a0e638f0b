// Opening a folder: config.json, one model.safetensors or the shards of its index, and the text
// files. Only names that the folder itself contains are opened; the index cannot lead out of it.
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "model/checkpoint/byte_source.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/file_error.h"
#include "model/checkpoint/folder_text.h"
#include "model/checkpoint/json_file.h"
#include "model/checkpoint/safetensors_header.h"
#include "model/checkpoint/tensor_info.h"

namespace mlxs {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxShards = 512;  // each keeps a file descriptor
constexpr std::string_view kSuffix = ".safetensors";

using ShardOfTensor = std::map<std::string, std::string, std::less<>>;

// A plain name: no separators, no "..", nothing hidden.
bool is_plain_shard_name(std::string_view name) {
  if (name.size() > 255 || !name.ends_with(kSuffix) || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

ShardOfTensor read_index(const fs::path& path) {
  JsonFileLimits limits;
  limits.max_bytes = kMaxSafetensorsHeaderBytes;
  const json::object index = read_json_object(path, limits);
  const json::value* map = file_member(index, "weight_map");
  if (map == nullptr || !map->is_object() || map->get_object().empty()) {
    throw invalid_model(
        path.string(), "the field weight_map must be an object with at least one tensor"
    );
  }
  ShardOfTensor shards;
  for (const auto& [tensor, shard] : map->get_object()) {
    const json::string* name = shard.if_string();
    if (name == nullptr || !is_plain_shard_name(std::string_view(*name))) {
      throw invalid_model(
          path.string(),
          "weight_map sends tensor {} to {}; a shard must be the plain name of a .safetensors file "
          "in the same folder",
          quote_for_message(tensor),
          name == nullptr ? "no string" : quote_for_message(*name)
      );
    }
    shards.emplace(std::string_view(tensor), std::string_view(*name));
  }
  return shards;
}

// Every tensor of the index must be in its shard, and every tensor of a shard in the index.
void check_against_index(
    const ShardOfTensor& index,
    const std::string& shard,
    const std::string& file,
    std::span<const TensorInfo> tensors
) {
  for (const TensorInfo& tensor : tensors) {
    const auto entry = index.find(tensor.name);
    if (entry != index.end() && entry->second == shard) continue;
    throw invalid_model(
        file,
        "holds the tensor {}, which the index does not place there",
        quote_for_message(tensor.name)
    );
  }
  std::set<std::string_view> present;
  for (const TensorInfo& tensor : tensors) present.insert(tensor.name);
  for (const auto& [tensor, place] : index) {
    if (place != shard || present.contains(tensor)) continue;
    throw invalid_model(
        file, "lacks the tensor {}, which the index places there", quote_for_message(tensor)
    );
  }
}

[[noreturn]] void throw_no_weights(const fs::path& folder) {
  std::error_code ec;
  for (const char* name :
       {"pytorch_model.bin", "pytorch_model.bin.index.json", "weights.npz", "consolidated.00.pth"
       }) {
    if (!fs::exists(folder / name, ec)) continue;
    throw unsupported_model(
        folder.string(),
        "holds {}, a format that is not loaded for safety; convert the model to safetensors",
        name
    );
  }
  throw invalid_model(
      folder.string(), "holds neither model.safetensors nor model.safetensors.index.json"
  );
}

}  // namespace

Checkpoint Checkpoint::open_folder(const fs::path& folder) {
  Checkpoint checkpoint;
  checkpoint.format_ = Format::safetensors;
  checkpoint.path_ = folder.string();
  checkpoint.config_ = read_json_object(folder / "config.json");
  checkpoint.quantization_ =
      QuantizationTable(checkpoint.config_, (folder / "config.json").string());
  if (is_present(folder / "model.safetensors.index.json")) {
    checkpoint.add_shards(folder);
  } else if (is_present(folder / "model.safetensors")) {
    checkpoint.add_safetensors_file(folder / "model.safetensors");
  } else {
    throw_no_weights(folder);
  }
  checkpoint.index_tensors();
  checkpoint.text_ = read_folder_text(folder, checkpoint.config_);
  return checkpoint;
}

void Checkpoint::add_shards(const fs::path& folder) {
  const fs::path index_path = folder / "model.safetensors.index.json";
  const ShardOfTensor index = read_index(index_path);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : index) shards.insert(shard);
  if (shards.size() > kMaxShards) {
    throw invalid_model(
        index_path.string(), "{} shards, the limit is {}", shards.size(), kMaxShards
    );
  }
  for (const std::string& shard : shards) {
    const std::size_t first = tensors_.size();
    add_safetensors_file(folder / shard);
    check_against_index(
        index, shard, (folder / shard).string(), std::span(tensors_).subspan(first)
    );
  }
}

void Checkpoint::add_safetensors_file(const fs::path& path) {
  auto file = std::make_unique<FileSource>(path);
  SafetensorsHeader header = read_safetensors_header(*file);
  for (TensorInfo& tensor : header.tensors) {
    tensor.file = files_.size();
    tensors_.push_back(std::move(tensor));
  }
  files_.push_back(std::move(file));
}

}  // namespace mlxs
