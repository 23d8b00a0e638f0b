// Each value becomes the text that a flag would have, so that there is one checker of settings.
#include "bindings/common/door_options.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/settings.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

std::string_view view_of(json::string_view text) { return {text.data(), text.size()}; }

[[noreturn]] void refuse(std::string_view name, const std::string& problem) {
  throw Error(
      ErrorCode::invalid_config, fmt::format("option {} {}", name, problem), std::string(name)
  );
}

std::string joined(const json::array& words, std::string_view name) {
  std::string text;
  for (const json::value& word : words) {
    if (!word.is_string()) refuse(name, "must be a list of texts");
    if (!text.empty()) text += ',';
    text += view_of(word.get_string());
  }
  return text;
}

std::string flag_text(const json::value& value, std::string_view name) {
  if (value.is_string()) return std::string(view_of(value.get_string()));
  if (value.is_array()) return joined(value.get_array(), name);
  if (value.is_object()) refuse(name, "must not be an object");
  return json::serialize(value);
}

const Setting* setting_of(std::string_view name, const OptionRules& rules) {
  for (const Setting& setting : setting_table()) {
    const bool is_served = (setting.commands & kServeCommand) != 0;
    if (is_served && setting.name == name && std::ranges::count(rules.groups, setting.group) > 0)
      return &setting;
  }
  return nullptr;
}

}  // namespace

DoorOptions read_door_options(std::string_view options_json, const OptionRules& rules) {
  DoorOptions options;
  std::map<std::string, std::string> flags;
  const json::value value = parse_json(options_json);
  if (!value.is_object())
    throw Error(ErrorCode::invalid_config, "the options must be an object with their names");
  for (const auto& member : value.get_object()) {
    const std::string_view name = view_of(member.key());
    const bool is_model = rules.takes_model && name == "model";
    if (!is_model && setting_of(name, rules) == nullptr)
      refuse(name, "is not known here; docs/CONFIGURATION.md lists the settings");
    if (member.value().is_null()) continue;
    if (!is_model) {
      flags[std::string(name)] = flag_text(member.value(), name);
      continue;
    }
    if (!member.value().is_string()) refuse(name, "must be a text: a folder, a file or a name");
    options.model = std::string(view_of(member.value().get_string()));
  }
  options.settings = Settings::resolve(kServeCommand, flags, process_environment());
  return options;
}

}  // namespace mlxs
