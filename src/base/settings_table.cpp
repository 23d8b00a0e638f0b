// The rows of the table of settings. How a value is read is in settings.cpp.
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/answer_settings.h"
#include "base/cache_settings.h"
#include "base/logging_settings.h"
#include "base/model_settings.h"
#include "base/monitoring_settings.h"
#include "base/settings.h"

namespace mlxs {
namespace {

constexpr SettingCommand kRunning = kServeCommand | kGenerateCommand | kChatCommand | kBenchCommand;
constexpr SettingCommand kAll = kRunning | kInfoCommand;
constexpr SettingCommand kTalking = kGenerateCommand | kChatCommand;

constexpr std::array<std::string_view, 3> kDevices = {"auto", "cpu", "gpu"};
constexpr std::array<std::string_view, 2> kPreemptions = {"recompute", "swap"};
constexpr std::array<std::string_view, 3> kPrecisions = {"exact", "balanced", "fast"};
constexpr std::array<std::string_view, 6> kLogLevels = {
    "trace", "debug", "info", "warning", "error", "off"
};

constexpr std::int64_t kMaxTokens = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMaxBytes = std::int64_t{1} << 50;
constexpr std::int64_t kMaxMessageBytes = std::int64_t{1} << 30;
constexpr double kMaxTimeoutS = 86400.0;

constexpr std::array kTable = {
    Setting{
        .name = "home",
        .group = SettingGroup::model,
        .domain = TextDomain{},
        .unit = "",
        .default_value = "~/.cache/mlx-serving",
        .commands = kAll,
        .text = "folder that keeps models; a name without a slash is looked up in its models/"
    },
    Setting{
        .name = "random_weights",
        .group = SettingGroup::model,
        .domain = TextDomain{},
        .unit = "",
        .default_value = "",
        .commands = kServeCommand,
        .text = "config.json of Hugging Face's form: random weights for it, with the model's own "
                "tokenizer; for tests"
    },
    Setting{
        .name = "config",
        .group = SettingGroup::model,
        .domain = TextDomain{},
        .unit = "",
        .default_value = "",
        .commands = kAll,
        .text = "YAML file of settings; flags and environment variables win over it"
    },
    Setting{
        .name = "device",
        .group = SettingGroup::model,
        .domain = ChoiceDomain{kDevices},
        .unit = "",
        .default_value = "auto",
        .commands = kAll,
        .text = "where the model runs; auto: the GPU where MLX has one"
    },
    Setting{
        .name = "precision",
        .group = SettingGroup::model,
        .domain = ChoiceDomain{kPrecisions},
        .unit = "",
        .default_value = "balanced",
        .commands = kRunning,
        .text = "on the CPU, activations that meet quantized weights; exact: floats; "
                "balanced: 16-bit integers in groups of 32; fast: 8-bit ones"
    },
    Setting{
        .name = "threads",
        .group = SettingGroup::model,
        .domain = IntegerDomain{0, 1024},
        .unit = "threads",
        .default_value = "0",
        .commands = kRunning,
        .text = "compute on the CPU; 0: as many as the processors that the process may use"
    },
    Setting{
        .name = "context_length",
        .group = SettingGroup::engine,
        .domain = IntegerDomain{0, kMaxTokens},
        .unit = "tokens",
        .default_value = "0",
        .commands = kRunning,
        .text = "longest sequence, prompt and answer together; 0: the model's own, as far as the "
                "KV memory holds it"
    },
    Setting{
        .name = "max_sequences",
        .group = SettingGroup::engine,
        .domain = IntegerDomain{1, 4096},
        .unit = "sequences",
        .default_value = "16",
        .commands = kServeCommand,
        .text = "run at the same time; others wait"
    },
    Setting{
        .name = "max_queue",
        .group = SettingGroup::engine,
        .domain = IntegerDomain{1, 1'000'000},
        .unit = "requests",
        .default_value = "256",
        .commands = kServeCommand,
        .text = "wait at the same time; one more is refused"
    },
    Setting{
        .name = "step_tokens",
        .group = SettingGroup::engine,
        .domain = IntegerDomain{1, 1'048'576},
        .unit = "tokens",
        .default_value = "128",
        .commands = kRunning,
        .text = "at most so many tokens of all sequences in one forward pass"
    },
    Setting{
        .name = "deterministic",
        .group = SettingGroup::engine,
        .domain = SwitchDomain{},
        .unit = "",
        .default_value = "false",
        .commands = kRunning,
        .text = "refuse to start where a request's tokens could depend on its neighbours; on the "
                "CPU they never do"
    },
    Setting{
        .name = "target_itl",
        .group = SettingGroup::engine,
        .domain = RealDomain{0.0, 60'000.0},
        .unit = "milliseconds",
        .default_value = "0",
        .commands = kRunning,
        .text = "time between two tokens that prompts may stretch decoding to; 0: 1.8 times "
                "what decoding alone takes"
    },
    Setting{
        .name = "in_flight_steps",
        .group = SettingGroup::engine,
        .domain = IntegerDomain{0, 4},
        .unit = "steps",
        .default_value = "0",
        .commands = kRunning,
        .text = "on the device at once; 0: 2 on a GPU, 1 on a CPU, which has nothing to overlap "
                "with"
    },
    Setting{
        .name = "preemption",
        .group = SettingGroup::engine,
        .domain = ChoiceDomain{kPreemptions},
        .unit = "",
        .default_value = "recompute",
        .commands = kServeCommand,
        .text = "what becomes of a sequence that makes room for a more urgent one"
    },
    Setting{
        .name = "swap_memory",
        .group = SettingGroup::engine,
        .domain = BytesDomain{0, kMaxBytes},
        .unit = "bytes",
        .default_value = "0",
        .commands = kServeCommand,
        .text = "host memory for preemption by swap; what does not fit is recomputed"
    },
    Setting{
        .name = "step_timeout",
        .group = SettingGroup::engine,
        .domain = RealDomain{0.001, kMaxTimeoutS},
        .unit = "seconds",
        .default_value = "300",
        .commands = kServeCommand,
        .text = "a step that takes longer has hung: its requests fail"
    },
    Setting{
        .name = "key_weights",
        .group = SettingGroup::engine,
        .domain = TextDomain{},
        .unit = "",
        .default_value = "",
        .commands = kServeCommand,
        .text = "JSON file: an object with the share of the device of each API key, a number "
                "above 0; other keys have 1"
    },
    Setting{
        .name = "scheduler_trace",
        .group = SettingGroup::engine,
        .domain = TextDomain{},
        .unit = "",
        .default_value = "",
        .commands = kServeCommand,
        .text = "file for the scheduler's decisions as JSON lines; it holds prompts as token "
                "ids"
    },
    Setting{
        .name = "text_workers",
        .group = SettingGroup::engine,
        .domain = IntegerDomain{1, 256},
        .unit = "threads",
        .default_value = "1",
        .commands = kServeCommand,
        .text = "render chat templates and tokenize"
    },
    Setting{
        .name = "host",
        .group = SettingGroup::server,
        .domain = TextDomain{},
        .unit = "",
        .default_value = "127.0.0.1",
        .commands = kServeCommand,
        .text = "address to listen on"
    },
    Setting{
        .name = "port",
        .group = SettingGroup::server,
        .domain = IntegerDomain{0, 65535},
        .unit = "",
        .default_value = "8080",
        .commands = kServeCommand,
        .text = "TCP port to listen on; 0: a free one"
    },
    Setting{
        .name = "api_key",
        .group = SettingGroup::server,
        .domain = SecretDomain{},
        .unit = "",
        .default_value = "",
        .commands = kServeCommand,
        .text = "key that clients must send as a bearer token; not set: none is asked for"
    },
    Setting{
        .name = "api_keys",
        .group = SettingGroup::server,
        .domain = TextDomain{},
        .unit = "",
        .default_value = "",
        .commands = kServeCommand,
        .text = "file of further keys, a line each: NAME SHA256 [max_open=N] [weight=X]; read "
                "again when it changes"
    },
    Setting{
        .name = "insecure",
        .group = SettingGroup::server,
        .domain = SwitchDomain{},
        .unit = "",
        .default_value = "false",
        .commands = kServeCommand,
        .text = "listen on other addresses than this machine's own without a key"
    },
    Setting{
        .name = "tls_cert",
        .group = SettingGroup::server,
        .domain = TextDomain{},
        .unit = "",
        .default_value = "",
        .commands = kServeCommand,
        .text = "file of a certificate chain in PEM; with it the server speaks TLS only"
    },
    Setting{
        .name = "tls_key",
        .group = SettingGroup::server,
        .domain = TextDomain{},
        .unit = "",
        .default_value = "",
        .commands = kServeCommand,
        .text = "file of the key of tls-cert, in PEM"
    },
    Setting{
        .name = "health_timeout",
        .group = SettingGroup::server,
        .domain = RealDomain{0.0, kMaxTimeoutS, RealStart::excluded},
        .unit = "seconds",
        .default_value = "30",
        .commands = kServeCommand,
        .text = "/health answers 503 when work is pending and nothing has progressed for so long"
    },
    Setting{
        .name = "drain_timeout",
        .group = SettingGroup::server,
        .domain = RealDomain{0.0, kMaxTimeoutS},
        .unit = "seconds",
        .default_value = "30",
        .commands = kServeCommand,
        .text = "after SIGTERM, running requests may take so long to finish"
    },
    Setting{
        .name = "allowed_hosts",
        .group = SettingGroup::server,
        .domain = ListDomain{},
        .unit = "",
        .default_value = "",
        .commands = kServeCommand,
        .text = "further names that the Host and Origin headers of requests may carry"
    },
    Setting{
        .name = "cors_origins",
        .group = SettingGroup::server,
        .domain = ListDomain{},
        .unit = "",
        .default_value = "",
        .commands = kServeCommand,
        .text = "origins whose pages may use the API, as https://example.com; *: all of them"
    },
    Setting{
        .name = "model_aliases",
        .group = SettingGroup::server,
        .domain = ListDomain{},
        .unit = "",
        .default_value = "",
        .commands = kServeCommand,
        .text = "further names under which clients may ask for the model"
    },
    Setting{
        .name = "responses_store",
        .group = SettingGroup::server,
        .domain = TextDomain{},
        .unit = "",
        .default_value = ":memory:",
        .commands = kServeCommand,
        .text = "file (SQLite) that keeps the stored responses; :memory: keeps them until the "
                "server ends"
    },
    Setting{
        .name = "max_responses",
        .group = SettingGroup::server,
        .domain = IntegerDomain{1, 100'000'000},
        .unit = "responses",
        .default_value = "10000",
        .commands = kServeCommand,
        .text = "kept; of more, the oldest go"
    },
    Setting{
        .name = "http_threads",
        .group = SettingGroup::server,
        .domain = IntegerDomain{1, 256},
        .unit = "threads",
        .default_value = "1",
        .commands = kServeCommand,
        .text = "answer HTTP"
    },
    Setting{
        .name = "max_connections",
        .group = SettingGroup::server,
        .domain = IntegerDomain{1, 1'000'000},
        .unit = "connections",
        .default_value = "1024",
        .commands = kServeCommand,
        .text = "open at the same time; one more is told 503"
    },
    Setting{
        .name = "max_socket_requests",
        .group = SettingGroup::server,
        .domain = IntegerDomain{1, 4096},
        .unit = "requests",
        .default_value = "32",
        .commands = kServeCommand,
        .text = "open at a time on one WebSocket; one more is told 429"
    },
    Setting{
        .name = "max_header",
        .group = SettingGroup::server,
        .domain = BytesDomain{1024, kMaxMessageBytes},
        .unit = "bytes",
        .default_value = "16KiB",
        .commands = kServeCommand,
        .text = "largest head of a request"
    },
    Setting{
        .name = "max_body",
        .group = SettingGroup::server,
        .domain = BytesDomain{1024, kMaxMessageBytes},
        .unit = "bytes",
        .default_value = "32MiB",
        .commands = kServeCommand,
        .text = "largest body of a request"
    },
    Setting{
        .name = "header_timeout",
        .group = SettingGroup::server,
        .domain = RealDomain{0.0, kMaxTimeoutS, RealStart::excluded},
        .unit = "seconds",
        .default_value = "10",
        .commands = kServeCommand,
        .text = "for the head of a request, from its first byte"
    },
    Setting{
        .name = "body_timeout",
        .group = SettingGroup::server,
        .domain = RealDomain{0.0, kMaxTimeoutS, RealStart::excluded},
        .unit = "seconds",
        .default_value = "10",
        .commands = kServeCommand,
        .text = "without a byte of a request's body"
    },
    Setting{
        .name = "body_total_timeout",
        .group = SettingGroup::server,
        .domain = RealDomain{0.0, kMaxTimeoutS, RealStart::excluded},
        .unit = "seconds",
        .default_value = "120",
        .commands = kServeCommand,
        .text = "for a request's whole body"
    },
    Setting{
        .name = "idle_timeout",
        .group = SettingGroup::server,
        .domain = RealDomain{0.0, kMaxTimeoutS, RealStart::excluded},
        .unit = "seconds",
        .default_value = "30",
        .commands = kServeCommand,
        .text = "without a request on an open connection"
    },
    Setting{
        .name = "write_timeout",
        .group = SettingGroup::server,
        .domain = RealDomain{0.0, kMaxTimeoutS, RealStart::excluded},
        .unit = "seconds",
        .default_value = "30",
        .commands = kServeCommand,
        .text = "without progress of a client that does not read its answer"
    },
    Setting{
        .name = "max_tokens",
        .group = SettingGroup::sampling,
        .domain = IntegerDomain{1, kMaxTokens},
        .unit = "tokens",
        .default_value = "",
        .commands = kTalking,
        .text = "longest answer; not set: what is left of the context"
    },
    Setting{
        .name = "temperature",
        .group = SettingGroup::sampling,
        .domain = RealDomain{0.0, 2.0},
        .unit = "",
        .default_value = "",
        .commands = kTalking,
        .text = "0: always the best token; higher: more variety; not set: the model's own"
    },
    Setting{
        .name = "top_k",
        .group = SettingGroup::sampling,
        .domain = IntegerDomain{0, kMaxTokens},
        .unit = "tokens",
        .default_value = "",
        .commands = kTalking,
        .text = "draw from the k best tokens; 0: off; not set: the model's own"
    },
    Setting{
        .name = "top_p",
        .group = SettingGroup::sampling,
        .domain = RealDomain{0.0, 1.0, RealStart::excluded},
        .unit = "",
        .default_value = "",
        .commands = kTalking,
        .text = "draw from the fewest best tokens of this probability together; 1: off; not set: "
                "the model's own"
    },
    Setting{
        .name = "min_p",
        .group = SettingGroup::sampling,
        .domain = RealDomain{0.0, 1.0},
        .unit = "",
        .default_value = "",
        .commands = kTalking,
        .text = "draw from tokens of at least this share of the best one's probability; 0: off; "
                "not set: the model's own"
    },
    Setting{
        .name = "repetition_penalty",
        .group = SettingGroup::sampling,
        .domain = RealDomain{0.0, 2.0, RealStart::excluded},
        .unit = "",
        .default_value = "",
        .commands = kTalking,
        .text = "makes tokens that were seen less likely; 1: off; not set: the model's own"
    },
    Setting{
        .name = "presence_penalty",
        .group = SettingGroup::sampling,
        .domain = RealDomain{-2.0, 2.0},
        .unit = "",
        .default_value = "",
        .commands = kTalking,
        .text = "subtracted once from the logits of tokens of the answer; not set: 0, off"
    },
    Setting{
        .name = "frequency_penalty",
        .group = SettingGroup::sampling,
        .domain = RealDomain{-2.0, 2.0},
        .unit = "",
        .default_value = "",
        .commands = kTalking,
        .text = "subtracted for each time that a token is in the answer; not set: 0, off"
    },
    Setting{
        .name = "seed",
        .group = SettingGroup::sampling,
        .domain = IntegerDomain{0, std::numeric_limits<std::int64_t>::max()},
        .unit = "",
        .default_value = "",
        .commands = kTalking,
        .text = "equal seeds draw equal answers; not set: a fresh one each time"
    },
    Setting{
        .name = "log_level",
        .group = SettingGroup::logging,
        .domain = ChoiceDomain{kLogLevels},
        .unit = "",
        .default_value = "warning",
        .commands = kAll,
        .text = "least level that is written to stderr"
    },
};

template <std::size_t kFirst, std::size_t kSecond>
consteval std::array<Setting, kFirst + kSecond> joined(
    const std::array<Setting, kFirst>& first, const std::array<Setting, kSecond>& second
) {
  return [&]<std::size_t... kI>(std::index_sequence<kI...>) {
    return std::array<Setting, kFirst + kSecond>{
        (kI < kFirst ? first[kI % kFirst] : second[(kI - kFirst) % kSecond])...
    };
  }(std::make_index_sequence<kFirst + kSecond>());
}

constexpr std::array kSettings = joined(
    joined(joined(kTable, kModelSettings), joined(kCacheSettings, kMonitoringSettings)),
    joined(kLoggingSettings, kAnswerSettings)
);

}  // namespace

std::span<const Setting> setting_table() { return kSettings; }

const Setting& find_setting(std::string_view name) {
  for (const Setting& setting : kSettings) {
    if (setting.name == name) return setting;
  }
  throw std::logic_error("no setting is called " + std::string(name));
}

}  // namespace mlxs
