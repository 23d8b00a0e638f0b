// The table of settings as a JSON Schema and as a document.
#include <spdlog/fmt/fmt.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/json.h"
#include "base/settings.h"
#include "cli/config_file.h"

namespace mlxs {
namespace {

json::string_view view(std::string_view text) { return {text.data(), text.size()}; }

struct DomainSchema {
  json::object operator()(const TextDomain&) const { return {{"type", "string"}}; }
  json::object operator()(const SecretDomain&) const { return {{"type", "string"}}; }
  json::object operator()(const SwitchDomain&) const { return {{"type", "boolean"}}; }
  json::object operator()(const ListDomain&) const {
    return {{"type", "array"}, {"items", {{"type", "string"}}}};
  }
  json::object operator()(const IntegerDomain& domain) const {
    return {{"type", "integer"}, {"minimum", domain.min}, {"maximum", domain.max}};
  }
  json::object operator()(const BytesDomain&) const {
    return {{"type", {"integer", "string"}}, {"pattern", "^[0-9]+(B|KB|MB|GB|KiB|MiB|GiB)?$"}};
  }
  json::object operator()(const AmountDomain&) const {
    return {
        {"type", {"integer", "string"}},
        {"pattern", "^([0-9]+(B|KB|MB|GB|KiB|MiB|GiB)?|[0-9]+([.][0-9]+)?%)$"}
    };
  }
  json::object operator()(const RealDomain& domain) const {
    json::object schema{{"type", "number"}, {"maximum", domain.max}};
    schema[domain.start == RealStart::included ? "minimum" : "exclusiveMinimum"] = domain.min;
    return schema;
  }
  json::object operator()(const ChoiceDomain& domain) const {
    json::array words;
    for (const std::string_view word : domain.choices) words.push_back(view(word));
    return {{"enum", std::move(words)}};
  }
};

std::string commands_of(const Setting& setting) {
  constexpr std::array<std::pair<SettingCommand, const char*>, 5> kNames = {
      {{kServeCommand, "serve"},
       {kGenerateCommand, "generate"},
       {kChatCommand, "chat"},
       {kBenchCommand, "bench"},
       {kInfoCommand, "info"}}
  };
  std::string names;
  for (const auto& [command, name] : kNames) {
    if ((setting.commands & command) == 0) continue;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return names;
}

// A table's cell must not end at a bar within it.
std::string cell(std::string_view text) {
  std::string escaped;
  for (const char c : text) escaped += c == '|' ? std::string("\\|") : std::string(1, c);
  return escaped;
}

std::string row_of(const Setting& setting) {
  const std::string value =
      setting.default_value.empty() ? "not set" : fmt::format("`{}`", setting.default_value);
  return fmt::format(
      "| `{}` | {} | {} | {} | {} |\n",
      setting.name,
      value,
      cell(describe_domain(setting.domain)),
      commands_of(setting),
      cell(setting.text)
  );
}

constexpr std::string_view kHead =
    "# Configuration\n\n"
    "<!-- Written by `mlx-serving config docs` from src/base/settings_table.cpp; a test compares "
    "them. -->\n\n"
    "Every setting is a flag, an environment variable and a line of a YAML file. Of `max_queue` "
    "the "
    "flag is `--max-queue`, the\nvariable `MLX_SERVING_MAX_QUEUE`. A flag wins over a variable, a "
    "variable over the file, the file over the default.\n\n"
    "```yaml\n# serve.yaml, for `mlx-serving serve --config serve.yaml`\n"
    "port: 8081\nmax_sequences: 32\nkv_memory: 2GiB\nmodel_aliases: [small, default]\n```\n\n"
    "A file may have settings of every command; each takes its own. An unknown name or a wrong "
    "value "
    "is refused with its line:\n`mlx-serving config check FILE` looks without starting anything, "
    "and "
    "`mlx-serving config schema` prints the JSON Schema for editors.\n\n"
    "| name | default | value | commands | meaning |\n|---|---|---|---|---|\n";

}  // namespace

std::string config_schema() {
  json::object properties;
  for (const Setting& setting : setting_table()) {
    if (setting.name == "config") continue;
    json::object property = std::visit(DomainSchema{}, setting.domain);
    property["description"] = view(setting.text);
    properties[view(setting.name)] = std::move(property);
  }
  json::object schema;
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = "mlx-serving";
  schema["type"] = "object";
  schema["additionalProperties"] = false;
  schema["properties"] = std::move(properties);
  return json::serialize(schema);
}

std::string config_document() {
  std::string document(kHead);
  for (const Setting& setting : setting_table()) document += row_of(setting);
  return document;
}

}  // namespace mlxs
