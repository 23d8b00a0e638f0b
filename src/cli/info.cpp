// `info`: what this build is and can do, and with a model what that is. Reads headers, never
// weights.
#include <spdlog/fmt/fmt.h>

#include <array>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/settings.h"
#include "cli/backend_facts.h"
#include "cli/build_info.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/machine.h"
#include "cli/setting_flags.h"
#include "model/checkpoint/checkpoint.h"
#include "model/families/families.h"
#include "model/model_facts.h"
#include "model/model_files.h"

namespace mlxs {
namespace {

constexpr std::array<std::string_view, 10> kWeightFormats = {
    "safetensors float32",
    "safetensors float16",
    "safetensors bfloat16",
    "safetensors MLX affine 2, 3, 4, 6 and 8 bits, groups of 32, 64 and 128",
    "gguf F32",
    "gguf F16",
    "gguf BF16",
    "gguf Q4_0",
    "gguf Q4_1",
    "gguf Q8_0"
};

// Of a key or a value, unless kv_dtype or precision say otherwise.
constexpr std::int64_t kKvValueBytes = 2;

json::object model_json(
    const std::string& model, const Settings& settings, const CliContext& context
) {
  const std::string home = expand_home(settings.text("home"), context.environment);
  const auto path = resolve_model(model, home);
  const ModelFacts facts = read_model_facts(Checkpoint::open(path));
  return {
      {"path", path.string()},
      {"family", facts.family},
      {"format", facts.format},
      {"quantization", facts.quantization},
      {"layers", facts.num_layers},
      {"hidden_size", facts.hidden_size},
      {"vocab_size", facts.vocab_size},
      {"context_length", facts.context_length},
      {"parameters", facts.num_parameters},
      {"weight_bytes", facts.weight_bytes},
      {"kv_bytes_per_token", facts.kv_values_per_token * kKvValueBytes},
      {"has_chat_template", facts.has_chat_template}
  };
}

json::object build_json(const Settings& settings, const CliContext& context) {
  const std::string home = expand_home(settings.text("home"), context.environment);
  const BackendFacts backend = context.backend_facts();
  json::array types;
  for (const std::string_view type : supported_model_types()) types.emplace_back(type);
  json::array formats;
  for (const std::string_view format : kWeightFormats) formats.emplace_back(format);
  return {
      {"version", kVersion},
      {"commit", build_commit()},
      {"mlx_version", backend.mlx_version},
      {"backend", backend.backend},
      {"device", backend.device_name},
      {"machine", machine_json(read_machine(), backend)},
      {"home", home},
      {"models", json::value_from(list_models(home))},
      {"model_types", std::move(types)},
      {"weight_formats", std::move(formats)}
  };
}

std::string plain(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_bool()) return value.get_bool() ? "yes" : "no";
  if (value.is_null()) return "none";
  if (value.is_double()) return fmt::format("{:.2f}", value.get_double());
  if (!value.is_array()) return json::serialize(value);
  std::string joined;
  for (const json::value& item : value.get_array())
    joined += (joined.empty() ? "" : ", ") + plain(item);
  return joined.empty() ? "none" : joined;
}

void print(const json::object& object, const Console& console, std::string_view indent) {
  for (const auto& [key, value] : object) {
    const std::string name = fmt::format("{}{:<20}", indent, std::string_view(key));
    if (value.is_object()) {
      console.out << styled(console, TextStyle::bold, name) << '\n';
      print(value.get_object(), console, "  ");
    } else {
      console.out << styled(console, TextStyle::bold, name) << ' '
                  << answer_text(console, plain(value)) << '\n';
    }
  }
}

class InfoCommand final : public Command {
 public:
  explicit InfoCommand(CLI::App& app) : Command(app), flags_(app, kInfoCommand) {
    add_model_argument(app, model_)
        ->description(
            "a folder of safetensors, a .gguf file, or a name in HOME/models/;\nwithout one: facts "
            "of this build"
        );
    app.add_flag("--json", is_json_, "print one JSON object");
    app.footer(
        "Examples:\n"
        "  mlx-serving info\n"
        "  mlx-serving info default --json\n"
    );
  }

  int run(CliContext& context) override {
    const Settings settings = flags_.resolve(context.environment);
    start_log(settings, context);
    const json::object facts =
        model_.empty() ? build_json(settings, context) : model_json(model_, settings, context);
    if (is_json_) {
      context.console.out << json::serialize(facts) << '\n';
    } else {
      print(facts, context.console, "");
    }
    return kExitOk;
  }

 private:
  SettingFlags flags_;
  std::string model_;
  bool is_json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_info_command(CLI::App& parent) {
  return std::make_unique<InfoCommand>(
      *parent.add_subcommand("info", "show what this build, or a model, is")
  );
}

}  // namespace mlxs
