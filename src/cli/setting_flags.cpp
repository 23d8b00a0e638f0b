// Translates the table of settings for CLI11, and its values into options structs.
#include "cli/setting_flags.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <cctype>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/checked.h"
#include "base/log.h"
#include "base/settings.h"
#include "cli/config_file.h"
#include "cli/key_weights.h"
#include "mlx_serving/config.h"
#include "mlx_serving/sampling.h"
#include "server/server_options.h"

namespace mlxs {
namespace {

constexpr std::size_t kHelpWidth = 72;  // of the column of descriptions

std::string group_name(SettingGroup group) {
  constexpr std::array<const char*, 6> kNames = {
      "Model", "Engine", "Server", "Sampling", "Logging", "Monitoring"
  };
  return kNames.at(static_cast<std::size_t>(group));
}

// RETURNS: `text` with newlines at spaces, so that no line is longer than the column where that is
// possible.
std::string wrapped(std::string_view text) {
  std::string result;
  while (text.size() > kHelpWidth) {
    std::size_t space = text.rfind(' ', kHelpWidth);
    if (space == std::string_view::npos) space = text.find(' ');
    if (space == std::string_view::npos) break;
    result += std::string(text.substr(0, space)) + '\n';
    text.remove_prefix(space + 1);
  }
  return result + std::string(text);
}

// What the placeholder of the value does not say already.
std::string range_of(const Setting& setting) {
  const bool has_range = std::holds_alternative<IntegerDomain>(setting.domain) ||
                         std::holds_alternative<BytesDomain>(setting.domain) ||
                         std::holds_alternative<RealDomain>(setting.domain);
  return has_range ? describe_domain(setting.domain) + ", " : "";
}

std::string help_of(const Setting& setting) {
  const bool is_switch = std::holds_alternative<SwitchDomain>(setting.domain);
  const bool has_default = !setting.default_value.empty() && !is_switch;
  return wrapped(fmt::format(
      "{} ({}{}environment {})",
      setting.text,
      has_default ? fmt::format("default {}, ", setting.default_value) : "",
      range_of(setting),
      setting_variable(setting)
  ));
}

struct TypeName {
  std::string operator()(const TextDomain&) const { return "TEXT"; }
  std::string operator()(const SecretDomain&) const { return "KEY"; }
  std::string operator()(const SwitchDomain&) const { return ""; }
  std::string operator()(const ListDomain&) const { return "A,B"; }
  std::string operator()(const IntegerDomain&) const { return "N"; }
  std::string operator()(const BytesDomain&) const { return "BYTES"; }
  std::string operator()(const AmountDomain&) const { return "BYTES|PERCENT"; }
  std::string operator()(const RealDomain&) const { return "X"; }
  std::string operator()(const ChoiceDomain& domain) const {
    return fmt::format("{}", fmt::join(domain.choices, "|"));
  }
};

std::string type_name(const Setting& setting) {
  if (setting.unit.empty() || std::holds_alternative<BytesDomain>(setting.domain) ||
      std::holds_alternative<AmountDomain>(setting.domain)) {
    return std::visit(TypeName{}, setting.domain);
  }
  std::string unit(setting.unit);
  for (char& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return unit;
}

// A setting's domain is never wider than the field that it goes into, so a failure is a bug of the
// table.
template <typename T>
T narrow(std::int64_t value) {
  const auto narrowed = checked_narrow<T>(value);
  if (!narrowed) throw std::logic_error("a setting is wider than what it sets");
  return *narrowed;
}

std::chrono::milliseconds to_milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000.0)));
}

RerankUse rerank_use(const std::string& word) {
  if (word == "on") return RerankUse::on;
  return word == "off" ? RerankUse::off : RerankUse::automatic;
}

DeviceKind device_kind(const std::string& name) {
  if (name == "cpu") return DeviceKind::cpu;
  return name == "gpu" ? DeviceKind::gpu : DeviceKind::automatic;
}

KvDtype kv_dtype(const std::string& name) {
  if (name == "float32") return KvDtype::float32;
  if (name == "float16") return KvDtype::float16;
  if (name == "bfloat16") return KvDtype::bfloat16;
  return name == "int8" ? KvDtype::int8 : KvDtype::automatic;
}

SloAction slo_action_of(const std::string& name) {
  if (name == "slow") return SloAction::slow;
  if (name == "shed") return SloAction::shed;
  return name == "both" ? SloAction::both : SloAction::none;
}

// What only makes sense where many requests meet.
void read_serving_settings(const Settings& settings, EngineConfig& config) {
  config.max_sequences = narrow<int>(settings.integer("max_sequences"));
  config.max_queue = narrow<int>(settings.integer("max_queue"));
  config.num_text_workers = narrow<int>(settings.integer("text_workers"));
  config.preemption =
      settings.text("preemption") == "swap" ? Preemption::swap : Preemption::recompute;
  config.swap_memory_bytes = settings.integer("swap_memory");
  config.prefix_cache_dir = settings.find_text("prefix_cache_dir").value_or("");
  config.prefix_cache_disk_bytes = settings.integer("prefix_cache_disk");
  config.step_timeout_s = settings.real("step_timeout");
  config.memory_bandwidth = static_cast<double>(settings.integer("memory_bandwidth"));
  config.slo = {
      .first_token_ms = settings.real("slo_ttft"),
      .next_token_ms = settings.real("slo_itl"),
      .error_share = settings.real("slo_errors"),
      .objective = settings.real("slo_objective")
  };
  config.slo_action = slo_action_of(settings.text("slo_action"));
  config.scheduler_trace = settings.find_text("scheduler_trace").value_or("");
  config.random_weights_config = settings.find_text("random_weights").value_or("");
  if (const auto path = settings.find_text("key_weights"))
    config.key_weights = read_key_weights(*path);
}

Precision precision_of(const std::string& name) {
  if (name == "fast") return Precision::fast;
  return name == "balanced" ? Precision::balanced : Precision::exact;
}

}  // namespace

SettingFlags::SettingFlags(CLI::App& app, SettingCommand command) : command_(command) {
  for (const Setting& setting : setting_table()) {
    if ((setting.commands & command) != 0)
      add_option(app, setting)->group(group_name(setting.group));
  }
}

CLI::Option* SettingFlags::add_option(CLI::App& app, const Setting& setting) {
  const std::string name(setting.name);
  if (std::holds_alternative<SwitchDomain>(setting.domain)) {
    const auto switch_on = [this, name] { given_[name] = "true"; };
    return app.add_flag_callback(setting_flag(setting), switch_on, help_of(setting));
  }
  const auto take = [this, name](const std::string& text) { given_[name] = text; };
  return app.add_option_function<std::string>(setting_flag(setting), take, help_of(setting))
      ->type_name(type_name(setting));
}

Settings SettingFlags::resolve(const Environment& environment) const {
  const Setting& config = find_setting("config");
  const auto flag = given_.find(std::string(config.name));
  const std::string path =
      flag != given_.end() ? flag->second : environment(setting_variable(config)).value_or("");
  return Settings::resolve(
      command_, given_, environment, path.empty() ? FileSettings() : read_config_file(path)
  );
}

EngineConfig engine_config(
    const Settings& settings, const std::string& model, const Environment& environment
) {
  EngineConfig config;
  config.model = model;
  config.home = expand_home(settings.text("home"), environment);
  config.device = device_kind(settings.text("device"));
  config.precision = precision_of(settings.text("precision"));
  config.deterministic = settings.is_on("deterministic");
  config.num_threads = narrow<int>(settings.integer("threads"));
  config.context_length = narrow<int>(settings.integer("context_length"));
  config.step_tokens = narrow<int>(settings.integer("step_tokens"));
  config.kv_memory_bytes = settings.amount("kv_memory").bytes;
  config.kv_memory_share = settings.amount("kv_memory").share;
  config.kv_dtype = kv_dtype(settings.text("kv_dtype"));
  config.target_itl_ms = settings.real("target_itl");
  config.in_flight_steps = narrow<int>(settings.integer("in_flight_steps"));
  config.prefix_cache = settings.text("prefix_cache") == "on";
  if (settings.has("telemetry")) config.telemetry = settings.text("telemetry") == "on";
  if (settings.has("max_queue")) read_serving_settings(settings, config);
  return config;
}

ServerOptions server_options(const Settings& settings) {
  ServerOptions options;
  options.host = settings.text("host");
  options.port = narrow<std::uint16_t>(settings.integer("port"));
  options.api_key = settings.find_text("api_key").value_or("");
  options.api_keys = settings.find_text("api_keys").value_or("");
  options.tls_certificate = settings.find_text("tls_cert").value_or("");
  options.tls_key = settings.find_text("tls_key").value_or("");
  options.cors_origins = settings.list("cors_origins");
  options.responses_store = settings.text("responses_store");
  options.embedding_pooling =
      settings.text("embedding_pooling") == "last" ? Pooling::last : Pooling::mean;
  options.rerank = rerank_use(settings.text("rerank"));
  options.max_responses = settings.integer("max_responses");
  options.max_socket_requests = narrow<int>(settings.integer("max_socket_requests"));
  options.allow_insecure_bind = settings.is_on("insecure");
  options.allowed_hosts = settings.list("allowed_hosts");
  options.model_aliases = settings.list("model_aliases");
  options.max_loaded_models = narrow<int>(settings.integer("max_loaded_models"));
  options.models_memory_bytes = settings.integer("models_memory");
  options.num_threads = narrow<int>(settings.integer("http_threads"));
  options.max_connections = narrow<int>(settings.integer("max_connections"));
  options.max_header_bytes = narrow<std::size_t>(settings.integer("max_header"));
  options.max_body_bytes = narrow<std::size_t>(settings.integer("max_body"));
  options.header_timeout = to_milliseconds(settings.real("header_timeout"));
  options.body_timeout = to_milliseconds(settings.real("body_timeout"));
  options.body_total_timeout = to_milliseconds(settings.real("body_total_timeout"));
  options.idle_timeout = to_milliseconds(settings.real("idle_timeout"));
  options.write_timeout = to_milliseconds(settings.real("write_timeout"));
  options.health_timeout = to_milliseconds(settings.real("health_timeout"));
  options.otlp_endpoint = settings.find_text("otlp_endpoint").value_or("");
  options.trace_share = settings.real("trace_share");
  options.log_prompts = settings.is_on("log_prompts");
  options.logger = installed_log();
  return options;
}

SamplingParams sampling_params(const Settings& settings, SamplingParams defaults) {
  const auto take = [&settings](std::string_view name, float& field) {
    if (const auto value = settings.find_real(name)) field = static_cast<float>(*value);
  };
  take("temperature", defaults.temperature);
  take("top_p", defaults.top_p);
  take("min_p", defaults.min_p);
  take("repetition_penalty", defaults.repetition_penalty);
  take("presence_penalty", defaults.presence_penalty);
  take("frequency_penalty", defaults.frequency_penalty);
  if (const auto top_k = settings.find_integer("top_k")) defaults.top_k = narrow<int>(*top_k);
  if (const auto seed = settings.find_integer("seed"))
    defaults.seed = static_cast<std::uint64_t>(*seed);
  return defaults;
}

StopParams stop_params(const Settings& settings, const std::vector<std::string>& stop) {
  StopParams params;
  params.stop = stop;
  if (const auto max_tokens = settings.find_integer("max_tokens"))
    params.max_tokens = narrow<int>(*max_tokens);
  return params;
}

}  // namespace mlxs
