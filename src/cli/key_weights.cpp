// Everything that is wrong with the file is the operator's to mend, so each message names the file.
#include "cli/key_weights.h"

#include <spdlog/fmt/fmt.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "base/json.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr double kMaxWeight = 1e6;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw Error(ErrorCode::invalid_config, fmt::format("key_weights: {}: {}", path.string(), what));
}

json::value parse_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) refuse(path, "cannot be opened");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  try {
    return parse_json(text);
  } catch (const Error& error) {
    refuse(path, error.what());
  }
}

}  // namespace

std::map<std::string, double> read_key_weights(const std::filesystem::path& path) {
  const json::value value = parse_file(path);
  if (!value.is_object()) refuse(path, R"(must be an object, as in {"alice": 2, "bob": 0.5})");
  std::map<std::string, double> weights;
  for (const auto& [key, weight] : value.as_object()) {
    const double number = weight.is_number() ? weight.to_number<double>() : 0.0;
    if (!(number > 0.0 && number <= kMaxWeight)) {
      refuse(
          path,
          fmt::format(
              "the weight of \"{}\" must be a number above 0 and at most {}, got {}",
              std::string(key),
              kMaxWeight,
              json::serialize(weight)
          )
      );
    }
    weights.emplace(key, number);
  }
  return weights;
}

}  // namespace mlxs
