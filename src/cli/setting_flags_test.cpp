// The table of settings against the options structs that it fills: same defaults, no field
// forgotten.
#include "cli/setting_flags.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/settings.h"
#include "mlx_serving/config.h"
#include "mlx_serving/sampling.h"
#include "server/server_options.h"

namespace mlxs {
namespace {

Environment home_only() {
  return [](const std::string& name) -> std::optional<std::string> {
    return name == "HOME" ? std::optional<std::string>("/h") : std::nullopt;
  };
}

Settings resolve(SettingCommand command, const std::map<std::string, std::string>& flags) {
  return Settings::resolve(command, flags, home_only());
}

TEST(EngineConfigOfSettings, DefaultsAreTheStructs) {
  const EngineConfig config = engine_config(resolve(kServeCommand, {}), "", home_only());
  const EngineConfig expected;
  EXPECT_EQ(config.home, "/h/.cache/mlx-serving");
  EXPECT_EQ(config.device, expected.device);
  EXPECT_EQ(config.precision, expected.precision);
  EXPECT_EQ(config.deterministic, expected.deterministic);
  EXPECT_EQ(config.num_threads, expected.num_threads);
  EXPECT_EQ(config.context_length, expected.context_length);
  EXPECT_EQ(config.max_sequences, expected.max_sequences);
  EXPECT_EQ(config.max_queue, expected.max_queue);
  EXPECT_EQ(config.step_tokens, expected.step_tokens);
  EXPECT_EQ(config.kv_memory_bytes, expected.kv_memory_bytes);
  EXPECT_EQ(config.num_text_workers, expected.num_text_workers);
}

TEST(EngineConfigOfSettings, EveryFieldCanBeSet) {
  const Settings settings = resolve(
      kServeCommand,
      {{"home", "~/m"},
       {"device", "gpu"},
       {"precision", "fast"},
       {"deterministic", "true"},
       {"threads", "7"},
       {"context_length", "1"},
       {"max_sequences", "2"},
       {"max_queue", "3"},
       {"step_tokens", "4"},
       {"kv_memory", "5KB"},
       {"text_workers", "6"}}
  );
  const EngineConfig config = engine_config(settings, "model", home_only());
  EXPECT_EQ(config.model, "model");
  EXPECT_EQ(config.home, "/h/m");
  EXPECT_EQ(config.device, DeviceKind::gpu);
  EXPECT_EQ(config.precision, Precision::fast);
  EXPECT_TRUE(config.deterministic);
  EXPECT_EQ(config.num_threads, 7);
  EXPECT_EQ(config.context_length, 1);
  EXPECT_EQ(config.max_sequences, 2);
  EXPECT_EQ(config.max_queue, 3);
  EXPECT_EQ(config.step_tokens, 4);
  EXPECT_EQ(config.kv_memory_bytes, 5000);
  EXPECT_EQ(config.num_text_workers, 6);
}

TEST(ServerOptionsOfSettings, DefaultsAreTheStructs) {
  const ServerOptions options = server_options(resolve(kServeCommand, {}));
  const ServerOptions expected;
  EXPECT_EQ(options.host, expected.host);
  EXPECT_EQ(options.port, expected.port);
  EXPECT_EQ(options.api_key, expected.api_key);
  EXPECT_EQ(options.allow_insecure_bind, expected.allow_insecure_bind);
  EXPECT_EQ(options.allowed_hosts, expected.allowed_hosts);
  EXPECT_EQ(options.model_aliases, expected.model_aliases);
  EXPECT_EQ(options.num_threads, expected.num_threads);
  EXPECT_EQ(options.max_connections, expected.max_connections);
  EXPECT_EQ(options.max_header_bytes, expected.max_header_bytes);
  EXPECT_EQ(options.max_body_bytes, expected.max_body_bytes);
  EXPECT_EQ(options.header_timeout, expected.header_timeout);
  EXPECT_EQ(options.body_timeout, expected.body_timeout);
  EXPECT_EQ(options.body_total_timeout, expected.body_total_timeout);
  EXPECT_EQ(options.idle_timeout, expected.idle_timeout);
  EXPECT_EQ(options.write_timeout, expected.write_timeout);
  EXPECT_EQ(options.health_timeout, expected.health_timeout);
}

TEST(ServerOptionsOfSettings, EveryFieldCanBeSet) {
  const ServerOptions options = server_options(resolve(
      kServeCommand,
      {{"host", "h"},
       {"port", "1"},
       {"api_key", "k"},
       {"insecure", "true"},
       {"allowed_hosts", "a,b"},
       {"model_aliases", "m"},
       {"http_threads", "2"},
       {"max_connections", "3"},
       {"max_header", "4KiB"},
       {"max_body", "5KiB"},
       {"header_timeout", "6"},
       {"body_timeout", "7"},
       {"body_total_timeout", "8"},
       {"idle_timeout", "9"},
       {"write_timeout", "0.0105"},
       {"health_timeout", "11"}}
  ));
  EXPECT_EQ(options.host, "h");
  EXPECT_EQ(options.port, 1);
  EXPECT_EQ(options.api_key, "k");
  EXPECT_TRUE(options.allow_insecure_bind);
  EXPECT_EQ(options.allowed_hosts, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(options.model_aliases, (std::vector<std::string>{"m"}));
  EXPECT_EQ(options.num_threads, 2);
  EXPECT_EQ(options.max_connections, 3);
  EXPECT_EQ(options.max_header_bytes, 4096U);
  EXPECT_EQ(options.max_body_bytes, 5120U);
  EXPECT_EQ(options.header_timeout.count(), 6000);
  EXPECT_EQ(options.body_timeout.count(), 7000);
  EXPECT_EQ(options.body_total_timeout.count(), 8000);
  EXPECT_EQ(options.idle_timeout.count(), 9000);
  EXPECT_EQ(options.write_timeout.count(), 11);
  EXPECT_EQ(options.health_timeout.count(), 11000);
}

TEST(SamplingOfSettings, TheModelsDefaultsUnlessSet) {
  SamplingParams model;
  model.temperature = 0.2F;
  model.top_k = 5;
  const SamplingParams untouched = sampling_params(resolve(kChatCommand, {}), model);
  EXPECT_EQ(untouched.temperature, 0.2F);
  EXPECT_EQ(untouched.top_k, 5);
  EXPECT_EQ(untouched.seed, std::nullopt);

  const Settings settings = resolve(
      kGenerateCommand,
      {{"temperature", "0"},
       {"top_k", "7"},
       {"top_p", "0.5"},
       {"min_p", "0.25"},
       {"repetition_penalty", "1.5"},
       {"presence_penalty", "-1"},
       {"frequency_penalty", "2"},
       {"seed", "9223372036854775807"},
       {"max_tokens", "12"}}
  );
  const SamplingParams params = sampling_params(settings, model);
  EXPECT_EQ(params.temperature, 0.0F);
  EXPECT_EQ(params.top_k, 7);
  EXPECT_EQ(params.top_p, 0.5F);
  EXPECT_EQ(params.min_p, 0.25F);
  EXPECT_EQ(params.repetition_penalty, 1.5F);
  EXPECT_EQ(params.presence_penalty, -1.0F);
  EXPECT_EQ(params.frequency_penalty, 2.0F);
  EXPECT_EQ(params.seed, 9223372036854775807ULL);
  EXPECT_EQ(stop_params(settings, {"x"}).max_tokens, 12);
  EXPECT_EQ(stop_params(settings, {"x"}).stop, (std::vector<std::string>{"x"}));
  EXPECT_EQ(stop_params(resolve(kChatCommand, {}), {}).max_tokens, std::nullopt);
}

}  // namespace
}  // namespace mlxs
