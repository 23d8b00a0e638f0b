// The one table of settings: what can be set, its type, unit, default, range and text. Command-line
// flags and environment variables are derived from it here and in src/cli; nothing else in the
// project reads the environment. What a setting does is the business of whoever asks for its value.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace mlxs {

struct TextDomain {};    // any text
struct SecretDomain {};  // any text; its value is never shown
struct SwitchDomain {};  // true or false
struct ListDomain {};    // words with commas between them
struct IntegerDomain {
  std::int64_t min;
  std::int64_t max;
};
struct BytesDomain {  // a whole number with an optional suffix: KB, MB, GB (1000s), KiB, MiB, GiB
                      // (1024s)
  std::int64_t min;
  std::int64_t max;
};
enum class RealStart { included, excluded };
// Bytes as in BytesDomain, or a share of something as in 50%.
struct AmountDomain {
  std::int64_t min;
  std::int64_t max;
};
struct RealDomain {
  double min;
  double max;
  RealStart start = RealStart::included;
};
struct ChoiceDomain {
  std::span<const std::string_view> choices;
};
using SettingDomain = std::variant<
    TextDomain,
    SecretDomain,
    SwitchDomain,
    ListDomain,
    IntegerDomain,
    BytesDomain,
    AmountDomain,
    RealDomain,
    ChoiceDomain>;

enum class SettingGroup { model, engine, server, sampling, logging, monitoring };

// The commands a setting belongs to, as bits.
using SettingCommand = unsigned;
inline constexpr SettingCommand kServeCommand = 1U << 0U;
inline constexpr SettingCommand kGenerateCommand = 1U << 1U;
inline constexpr SettingCommand kChatCommand = 1U << 2U;
inline constexpr SettingCommand kBenchCommand = 1U << 3U;
inline constexpr SettingCommand kInfoCommand = 1U << 4U;

struct Setting {
  std::string_view name;  // snake_case; the key of everything that is derived
  SettingGroup group;
  SettingDomain domain;
  std::string_view unit;           // "tokens", "seconds"; empty: none
  std::string_view default_value;  // as one would write it; empty: not set, as `text` explains
  SettingCommand commands;         // one bit or several
  std::string_view text;           // one line
};

// RETURNS: the table, grouped, in the order of the help.
[[nodiscard]] std::span<const Setting> setting_table();

// RETURNS: the row called `name`. ERRORS: std::logic_error where there is none.
[[nodiscard]] const Setting& find_setting(std::string_view name);

// RETURNS: "--max-queue" and "MLX_SERVING_MAX_QUEUE" for max_queue.
[[nodiscard]] std::string setting_flag(const Setting& setting);
[[nodiscard]] std::string setting_variable(const Setting& setting);

// RETURNS: what a value may be, in words: "an integer from 0 to 65535".
[[nodiscard]] std::string describe_domain(const SettingDomain& domain);

// RETURNS: the value of an environment variable, or nothing.
using Environment = std::function<std::optional<std::string>(const std::string& variable)>;
[[nodiscard]] Environment process_environment();

// A number of bytes, or a share of something.
struct Amount {
  std::int64_t bytes = 0;
  double share = 0.0;  // in (0, 1]; 0: `bytes` counts
};

// What a configuration file says of one setting.
struct FileSetting {
  std::string text;    // as a flag would have it
  std::string origin;  // "serve.yaml:3: port"
};
using FileSettings = std::map<std::string, FileSetting>;  // by setting name

// Checked values of the settings of some commands. Immutable once made.
// Thread safety: const members may be called from any thread.
class Settings {
 public:
  enum class Source { default_value, file, environment, flag };

  // `flags` holds the text of the flags that were given, by setting name; an empty environment
  // variable counts as not set; `file` holds what a configuration file says, also for other
  // commands. A flag wins over a variable, and that over the file. ERRORS: invalid_config naming
  // the flag, the variable or the place in the file, what it holds and what it may be.
  [[nodiscard]] static Settings resolve(
      SettingCommand command,
      const std::map<std::string, std::string>& flags,
      const Environment& environment,
      const FileSettings& file = {}
  );

  // Checks the values of a file, whatever command they are for. ERRORS: as resolve().
  static void check(const FileSettings& file);

  // Typed access: texts, secrets and choices; integers and bytes; reals; switches. Nothing where
  // the setting has no default and was not given.
  // ERRORS: std::logic_error for a name or type that is not the table's, or a setting of other
  // commands.
  [[nodiscard]] std::optional<std::string> find_text(std::string_view name) const;
  [[nodiscard]] std::optional<std::int64_t> find_integer(std::string_view name) const;
  [[nodiscard]] std::optional<double> find_real(std::string_view name) const;
  [[nodiscard]] std::optional<bool> find_switch(std::string_view name) const;

  // The same for settings that have a default. ERRORS: also std::logic_error where there is no
  // value.
  [[nodiscard]] std::string text(std::string_view name) const;
  [[nodiscard]] std::int64_t integer(std::string_view name) const;
  [[nodiscard]] double real(std::string_view name) const;
  [[nodiscard]] bool is_on(std::string_view name) const;
  [[nodiscard]] Amount amount(std::string_view name) const;
  // RETURNS: the words of a list; empty where it was not given.
  [[nodiscard]] std::vector<std::string> list(std::string_view name) const;

  // RETURNS: whether the command has this setting at all.
  [[nodiscard]] bool has(std::string_view name) const { return entries_.contains(name); }
  [[nodiscard]] Source source(std::string_view name) const;

 private:
  using Value = std::
      variant<std::monostate, std::string, std::int64_t, double, bool, std::vector<std::string>>;
  struct Entry {
    Value value;
    Source source = Source::default_value;
  };

  static Value parse(const Setting& setting, const std::string& text, const std::string& origin);
  [[nodiscard]] const Entry& entry(std::string_view name) const;
  template <typename T>
  [[nodiscard]] std::optional<T> find(std::string_view name) const;

  std::map<std::string, Entry, std::less<>> entries_;
};

// RETURNS: where models are kept: MLX_SERVING_HOME, or its default; a leading "~/" is the user's
// home. ERRORS: invalid_config where "~" is needed and HOME is not set.
[[nodiscard]] std::string model_home(const Environment& environment);

// RETURNS: `path` with a leading "~" or "~/" replaced by HOME. ERRORS: as model_home().
[[nodiscard]] std::string expand_home(const std::string& path, const Environment& environment);

}  // namespace mlxs
