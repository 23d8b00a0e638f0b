// Options of a binding, a JSON object, as checked settings.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/settings.h"

namespace mlxs {

struct DoorOptions {
  std::string model;  // empty: not given
  Settings settings;
};

// Reads an object whose members are `model`, where `takes_model` says so, and settings of `groups`:
// text, numbers, true or false, arrays of text for lists; null is as good as absent.
// ERRORS: invalid_config naming the option.
struct OptionRules {
  std::initializer_list<SettingGroup> groups;
  bool takes_model = false;
};
[[nodiscard]] DoorOptions read_door_options(
    std::string_view options_json, const OptionRules& rules
);

}  // namespace mlxs
