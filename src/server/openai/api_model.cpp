// Names and fingerprint of the served model.
#include "server/openai/api_model.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

// FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

}  // namespace

void check_model_name(const ApiModel& model, std::string_view name) {
  if (std::find(model.names.begin(), model.names.end(), name) != model.names.end()) return;
  throw Error(
      ErrorCode::model_not_found,
      fmt::format(
          "the model {} does not exist here; this server serves {}",
          json_quote(name.substr(0, 100)),
          fmt::join(model.names, ", ")
      ),
      "model"
  );
}

ApiModel make_api_model(const ModelInfo& info, const std::vector<std::string>& aliases) {
  ApiModel model;
  model.info = info;
  model.names.push_back(info.name);
  for (const std::string& alias : aliases) {
    if (std::find(model.names.begin(), model.names.end(), alias) == model.names.end())
      model.names.push_back(alias);
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  model.created = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  model.fingerprint = fmt::format(
      "fp_{:016x}",
      hash_of(fmt::format(
          "{}|{}|{}|{}|{}",
          MLXS_VERSION,
          info.name,
          info.family,
          info.quantization,
          info.weight_bytes
      ))
  );
  return model;
}

}  // namespace mlxs
