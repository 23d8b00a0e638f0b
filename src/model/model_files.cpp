// Finds the files of a model by path or by name.
#include "model/model_files.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/log.h"
#include "base/settings.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxListed = 20;

std::string shown(const fs::path& path) { return escape_control(path.string()); }

fs::file_type type_of(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() != fs::file_type::none) return status.type();
  // "File name too long" and its like: no such file can exist.
  if (error != std::errc::permission_denied) return fs::file_type::not_found;
  throw Error(
      ErrorCode::io_error, fmt::format("{} cannot be read: {}", shown(path), error.message())
  );
}

bool is_there(const fs::path& path) { return type_of(path) != fs::file_type::not_found; }

// A single plain file name: nothing that could lead elsewhere.
bool is_name(std::string_view text) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !text.empty() && text.front() != '.' && std::ranges::all_of(text, is_plain);
}

bool is_default(std::string_view model) {
  return model == kDefaultModelAlias || model == kDefaultModelName;
}

std::optional<fs::path> find_named(std::string_view name, const fs::path& models) {
  for (const fs::path& candidate :
       {models / fs::path(name), models / (std::string(name) + ".gguf")}) {
    if (is_there(candidate)) return candidate;
  }
  if (is_default(name) && is_there(models / kDefaultModelFile)) return models / kDefaultModelFile;
  return std::nullopt;
}

fs::path check_model(const fs::path& path) {
  const fs::file_type type = type_of(path);
  if (type == fs::file_type::directory) {
    if (type_of(path / "config.json") == fs::file_type::regular) return path;
    throw Error(
        ErrorCode::invalid_model,
        fmt::format(
            "{} is not a model: the folder has no config.json; name a folder of safetensors or a "
            ".gguf file",
            shown(path)
        )
    );
  }
  if (type != fs::file_type::regular || path.extension() != ".gguf") {
    throw Error(
        ErrorCode::invalid_model,
        fmt::format("{} is not a model: it is neither a folder nor a .gguf file", shown(path))
    );
  }
  return path;
}

[[noreturn]] void throw_not_found(const std::string& model, const std::string& home) {
  std::vector<std::string> names = list_models(home);
  const std::string models = shown(fs::path(home) / "models");
  std::string there =
      names.empty() ? fmt::format("{} holds none", models) : fmt::format("{} holds ", models);
  const std::size_t num_left_out = names.size() > kMaxListed ? names.size() - kMaxListed : 0;
  names.resize(names.size() - num_left_out);
  there += fmt::format("{}", fmt::join(names, ", "));
  if (num_left_out > 0) there += fmt::format(" and {} more", num_left_out);
  throw Error(
      ErrorCode::model_not_found,
      fmt::format(
          "model \"{}\" was not found: it is no path, and {}; `make setup` installs the default "
          "model",
          escape_control(model),
          there
      ),
      "model"
  );
}

std::string home_or_default(const std::string& home) {
  return home.empty() ? model_home(process_environment())
                      : expand_home(home, process_environment());
}

}  // namespace

fs::path resolve_model(const std::string& model, const std::string& home) {
  const std::string name = model.empty() ? std::string(kDefaultModelAlias) : model;
  if (name.find('\0') != std::string::npos) {
    throw Error(ErrorCode::model_not_found, "a model's name cannot hold a zero byte", "model");
  }
  const std::string folder = home_or_default(home);
  if (is_name(name) && !name.ends_with(".gguf")) {
    if (const auto found = find_named(name, fs::path(folder) / "models"))
      return check_model(*found);
  }
  const fs::path path = expand_home(name, process_environment());
  if (is_default(name) || !is_there(path)) throw_not_found(name, folder);
  return check_model(path);
}

std::vector<std::string> list_models(const std::string& home) {
  const fs::path models = fs::path(home_or_default(home)) / "models";
  std::vector<std::string> names;
  std::error_code error;
  // A folder that is missing or may not be read holds nothing for us.
  for (fs::directory_iterator entry(models, error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::path path = entry->path();
    std::error_code entry_error;
    const fs::file_status status = fs::status(path, entry_error);
    const bool is_file = status.type() == fs::file_type::regular && path.extension() == ".gguf";
    const bool is_folder =
        status.type() == fs::file_type::directory && fs::exists(path / "config.json", entry_error);
    const std::string name = is_file ? path.stem().string() : path.filename().string();
    if ((is_file || is_folder) && is_name(name)) names.push_back(name);
    if (is_file && path.filename() == kDefaultModelFile) names.emplace_back(kDefaultModelName);
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace mlxs
