// yaml-cpp reads the file; what a value may be is the table's business.
#include "cli/config_file.h"

#include <spdlog/fmt/fmt.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/settings.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;
constexpr std::string_view kConfig = "config";  // a file does not name another

[[noreturn]] void fail(
    const std::string& path, const YAML::Mark& mark, const std::string& problem
) {
  throw Error(ErrorCode::invalid_config, fmt::format("{}:{}: {}", path, mark.line + 1, problem));
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in)
    throw Error(ErrorCode::io_error, fmt::format("the configuration file {} cannot be read", path));
  if (text.size() > kMaxFileBytes) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format("the configuration file {} is larger than {} bytes", path, kMaxFileBytes)
    );
  }
  return text;
}

bool is_setting(std::string_view name) {
  return name != kConfig && std::ranges::any_of(setting_table(), [&](const Setting& setting) {
           return setting.name == name;
         });
}

// RETURNS: the value as a flag would have it.
std::string text_of(const std::string& path, const std::string& name, const YAML::Node& value) {
  if (value.IsScalar()) return value.Scalar();
  if (!value.IsSequence()) fail(path, value.Mark(), name + " must be a value or a list of values");
  std::string text;
  for (const YAML::Node& item : value) {
    if (!item.IsScalar()) fail(path, item.Mark(), name + " must be a list of plain values");
    if (item.Scalar().find(',') != std::string::npos)
      fail(path, item.Mark(), "a value of the list " + name + " has a comma");
    text += (text.empty() ? "" : ",") + item.Scalar();
  }
  return text;
}

YAML::Node parse(const std::string& path) {
  try {
    return YAML::Load(read_text(path));
  } catch (const YAML::Exception& error) {
    fail(path, error.mark, "no sound YAML: " + error.msg);
  }
}

}  // namespace

FileSettings read_config_file(const std::string& path) {
  const YAML::Node root = parse(path);
  FileSettings settings;
  if (root.IsNull()) return settings;
  if (!root.IsMap()) fail(path, root.Mark(), "the file must be a mapping of settings to values");
  for (const auto& entry : root) {
    if (!entry.first.IsScalar())
      fail(path, entry.first.Mark(), "a setting's name must be plain text");
    const std::string& name = entry.first.Scalar();
    const int line = entry.first.Mark().line + 1;
    if (!is_setting(name))
      fail(path, entry.first.Mark(), "no setting is called \"" + escape_control(name) + "\"");
    FileSetting value{
        text_of(path, name, entry.second), fmt::format("{}:{}: {}", path, line, name)
    };
    if (!settings.emplace(name, std::move(value)).second)
      fail(path, entry.first.Mark(), name + " is there twice");
  }
  return settings;
}

}  // namespace mlxs
