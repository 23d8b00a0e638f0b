// The table of model types. A new family is one row here and one file beside this one.
#include "model/families/families.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "model/families/decoder.h"
#include "model/model_config.h"
#include "model/model_spec.h"

namespace mlxs {
namespace {

struct Family {
  std::string_view model_type;
  ModelSpec (*make)(const FamilyInput&);
};

constexpr std::array kFamilies{
    Family{"gemma3", make_gemma3_spec},
    Family{"gemma3_text", make_gemma3_spec},
    Family{"llama", make_llama_spec},
    Family{"mistral", make_mistral_spec},
    Family{"phi3", make_phi3_spec},
    Family{"qwen2", make_qwen2_spec},
    Family{"qwen3", make_qwen3_spec},
};

}  // namespace

ModelSpec make_model_spec(
    const json::object& config, std::string_view where, const HasTensor& has_tensor
) {
  const ConfigReader reader(config, std::string(where));
  const std::optional<std::string> type = reader.optional_string("model_type");
  if (!type)
    throw reader.invalid(
        "model_type", "is missing; the file is not a complete model configuration"
    );
  const auto family =
      std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& candidate) {
        return candidate.model_type == *type;
      });
  if (family == kFamilies.end()) {
    throw reader.unsupported(
        "model_type",
        fmt::format(
            "{} is not supported; there are {}",
            json_quote(*type),
            fmt::join(supported_model_types(), ", ")
        )
    );
  }
  return family->make({reader, has_tensor});
}

std::vector<std::string_view> supported_model_types() {
  std::vector<std::string_view> types;
  types.reserve(std::size(kFamilies));
  for (const Family& family : kFamilies) types.push_back(family.model_type);
  return types;
}

}  // namespace mlxs
