// Finds them by their index.
#include "engine/mlx_golden_model.h"

#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/json.h"
#include "model/checkpoint/checkpoint.h"
#include "model/families/families.h"
#include "model/model.h"

namespace mlxs::testing {
namespace {

std::filesystem::path path_of(std::string_view name) {
  const auto folder = std::filesystem::path(MLXS_GOLDEN_DIR) / "models";
  std::ifstream file(folder / "index.json", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const json::value index = parse_json(text);
  for (const json::value& entry : index.at("cases").as_array()) {
    if (json::value_to<std::string>(entry.at("name")) == name)
      return folder / json::value_to<std::string>(entry.at("model"));
  }
  throw std::logic_error("there is no golden model " + std::string(name));
}

}  // namespace

Model load_golden_model(std::string_view name) {
  const Checkpoint checkpoint = Checkpoint::open(path_of(name));
  const auto has_tensor = [&checkpoint](std::string_view tensor) {
    return checkpoint.find(tensor) != nullptr;
  };
  return Model::load(
      checkpoint, make_model_spec(checkpoint.config(), checkpoint.path(), has_tensor), {}
  );
}

}  // namespace mlxs::testing
