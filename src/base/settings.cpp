// Reads settings out of flags and environment variables, and checks them. The rows are in
// settings_table.cpp.
#include "base/settings.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <ios>
#include <locale>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "base/checked.h"
#include "base/log.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

// The whole of `text` as a number, or nothing.
std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): the end is given beside it
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

// Not from_chars: libc++ has it for integers only.
std::optional<double> parse_real(std::string_view text) {
  std::istringstream in{std::string(text)};
  in.imbue(std::locale::classic());
  double value = 0.0;
  if (!(in >> std::noskipws >> value) || in.peek() != std::istringstream::traits_type::eof())
    return std::nullopt;
  return value;
}

std::optional<std::int64_t> parse_bytes(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 7> kSuffixes = {{
      {"KiB", std::int64_t{1} << 10},
      {"MiB", std::int64_t{1} << 20},
      {"GiB", std::int64_t{1} << 30},
      {"KB", 1'000},
      {"MB", 1'000'000},
      {"GB", 1'000'000'000},
      {"B", 1},
  }};
  std::int64_t factor = 1;
  for (const auto& [suffix, suffix_factor] : kSuffixes) {
    if (!text.ends_with(suffix)) continue;
    factor = suffix_factor;
    text.remove_suffix(suffix.size());
    break;
  }
  const auto count = parse_integer(text);
  return count ? checked_mul(*count, factor) : std::nullopt;
}

std::optional<bool> parse_switch(std::string_view text) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "0" || text == "no" || text == "off") return false;
  return std::nullopt;
}

std::optional<std::vector<std::string>> parse_list(std::string_view text) {
  std::vector<std::string> words;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    if (word.empty()) return std::nullopt;
    words.emplace_back(word);
    if (comma == std::string_view::npos) return words;
    text.remove_prefix(comma + 1);
  }
}

// Turns text into the value of a domain; nothing where it is not one.
struct DomainParser {
  std::string_view text;

  using Result = std::optional<
      std::variant<std::string, std::int64_t, double, bool, std::vector<std::string>>>;

  Result operator()(const TextDomain&) const { return std::string(text); }
  Result operator()(const SecretDomain&) const { return std::string(text); }
  Result operator()(const SwitchDomain&) const { return wrap(parse_switch(text)); }
  Result operator()(const ListDomain&) const { return wrap(parse_list(text)); }
  Result operator()(const IntegerDomain& domain) const {
    const auto value = parse_integer(text);
    return value && *value >= domain.min && *value <= domain.max ? wrap(value) : std::nullopt;
  }
  Result operator()(const BytesDomain& domain) const {
    const auto value = parse_bytes(text);
    return value && *value >= domain.min && *value <= domain.max ? wrap(value) : std::nullopt;
  }
  Result operator()(const AmountDomain& domain) const {
    if (!text.ends_with('%')) return (*this)(BytesDomain{domain.min, domain.max});
    const auto percent = parse_real(text.substr(0, text.size() - 1));
    const bool is_share = percent && *percent > 0.0 && *percent <= 100.0;
    return is_share ? Result(*percent / 100.0) : std::nullopt;
  }
  Result operator()(const RealDomain& domain) const {
    const auto value = parse_real(text);
    if (!value || !std::isfinite(*value) || *value > domain.max) return std::nullopt;
    const bool is_above =
        domain.start == RealStart::included ? *value >= domain.min : *value > domain.min;
    return is_above ? wrap(value) : std::nullopt;
  }
  Result operator()(const ChoiceDomain& domain) const {
    if (std::ranges::find(domain.choices, text) == domain.choices.end()) return std::nullopt;
    return std::string(text);
  }

  template <typename T>
  static Result wrap(const std::optional<T>& value) {
    return value ? Result(*value) : std::nullopt;
  }
};

struct DomainDescriber {
  std::string operator()(const TextDomain&) const { return "text"; }
  std::string operator()(const SecretDomain&) const { return "text"; }
  std::string operator()(const SwitchDomain&) const { return "true or false"; }
  std::string operator()(const ListDomain&) const { return "words with commas between them"; }
  std::string operator()(const IntegerDomain& domain) const {
    return fmt::format("an integer from {} to {}", domain.min, domain.max);
  }
  std::string operator()(const BytesDomain& domain) const {
    return fmt::format("a number of bytes from {} to {}, as in 512MiB", domain.min, domain.max);
  }
  std::string operator()(const AmountDomain& domain) const {
    return (*this)(BytesDomain{domain.min, domain.max}) + ", or a share as in 50%";
  }
  std::string operator()(const RealDomain& domain) const {
    const std::string_view from = domain.start == RealStart::included ? "from" : "above";
    return fmt::format("a number {} {} to {}", from, domain.min, domain.max);
  }
  std::string operator()(const ChoiceDomain& domain) const {
    return fmt::format("one of {}", fmt::join(domain.choices, ", "));
  }
};

std::string upper_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return result;
}

}  // namespace

std::string setting_flag(const Setting& setting) {
  std::string flag = "--" + std::string(setting.name);
  std::ranges::replace(flag, '_', '-');
  return flag;
}

std::string setting_variable(const Setting& setting) {
  return "MLX_SERVING_" + upper_case(setting.name);
}

std::string describe_domain(const SettingDomain& domain) {
  return std::visit(DomainDescriber{}, domain);
}

Environment process_environment() {
  return [](const std::string& variable) -> std::optional<std::string> {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in the process changes the environment
    const char* const value = std::getenv(variable.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

Settings::Value Settings::parse(
    const Setting& setting, const std::string& text, const std::string& origin
) {
  const auto value = std::visit(DomainParser{text}, setting.domain);
  if (value)
    return std::visit(
        [](auto&& held) { return Value(std::forward<decltype(held)>(held)); }, *value
    );
  throw Error(
      ErrorCode::invalid_config,
      fmt::format(
          "{} is \"{}\"; it must be {}",
          origin,
          escape_control(text),
          describe_domain(setting.domain)
      ),
      std::string(setting.name)
  );
}

Settings Settings::resolve(
    SettingCommand command,
    const std::map<std::string, std::string>& flags,
    const Environment& environment,
    const FileSettings& file
) {
  check(file);
  Settings settings;
  for (const Setting& setting : setting_table()) {
    if ((setting.commands & command) == 0) continue;
    Entry& entry = settings.entries_[std::string(setting.name)];
    const std::string variable = setting_variable(setting);
    const auto from_environment = environment(variable);
    const auto flag = flags.find(std::string(setting.name));
    if (flag != flags.end()) {
      entry = {parse(setting, flag->second, setting_flag(setting)), Source::flag};
    } else if (from_environment && !from_environment->empty()) {
      entry = {
          parse(setting, *from_environment, "environment variable " + variable), Source::environment
      };
    } else if (const auto in_file = file.find(std::string(setting.name)); in_file != file.end()) {
      entry = {parse(setting, in_file->second.text, in_file->second.origin), Source::file};
    } else if (!setting.default_value.empty()) {
      const std::string text(setting.default_value);
      entry = {parse(setting, text, "default of " + setting_flag(setting)), Source::default_value};
    }
  }
  return settings;
}

void Settings::check(const FileSettings& file) {
  for (const auto& [name, value] : file)
    static_cast<void>(parse(find_setting(name), value.text, value.origin));
}

const Settings::Entry& Settings::entry(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end())
    throw std::logic_error("this command has no setting " + std::string(name));
  return found->second;
}

template <typename T>
std::optional<T> Settings::find(std::string_view name) const {
  const Value& value = entry(name).value;
  if (std::holds_alternative<std::monostate>(value)) return std::nullopt;
  if (!std::holds_alternative<T>(value))
    throw std::logic_error("setting of another type: " + std::string(name));
  return std::get<T>(value);
}

namespace {

template <typename T>
T require(std::optional<T> value, std::string_view name) {
  if (!value) throw std::logic_error("setting without a value: " + std::string(name));
  return *std::move(value);
}

}  // namespace

std::optional<std::string> Settings::find_text(std::string_view name) const {
  return find<std::string>(name);
}
std::optional<std::int64_t> Settings::find_integer(std::string_view name) const {
  return find<std::int64_t>(name);
}
std::optional<double> Settings::find_real(std::string_view name) const {
  return find<double>(name);
}
std::optional<bool> Settings::find_switch(std::string_view name) const { return find<bool>(name); }

std::string Settings::text(std::string_view name) const { return require(find_text(name), name); }
std::int64_t Settings::integer(std::string_view name) const {
  return require(find_integer(name), name);
}
double Settings::real(std::string_view name) const { return require(find_real(name), name); }
Amount Settings::amount(std::string_view name) const {
  const Value& value = entry(name).value;
  if (const auto* bytes = std::get_if<std::int64_t>(&value)) return {.bytes = *bytes, .share = 0.0};
  if (const auto* share = std::get_if<double>(&value)) return {.bytes = 0, .share = *share};
  throw std::logic_error("setting '" + std::string(name) + "' is no amount");
}

bool Settings::is_on(std::string_view name) const { return require(find_switch(name), name); }
std::vector<std::string> Settings::list(std::string_view name) const {
  return find<std::vector<std::string>>(name).value_or(std::vector<std::string>());
}

Settings::Source Settings::source(std::string_view name) const { return entry(name).source; }

std::string expand_home(const std::string& path, const Environment& environment) {
  if (path != "~" && !path.starts_with("~/")) return path;
  const auto home = environment("HOME");
  if (!home || home->empty()) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format(
            "{} needs HOME, which is not set; set MLX_SERVING_HOME to a folder",
            escape_control(path)
        )
    );
  }
  return *home + path.substr(1);
}

std::string model_home(const Environment& environment) {
  const Setting& setting = find_setting("home");
  const auto value = environment(setting_variable(setting));
  const bool is_set = value && !value->empty();
  return expand_home(is_set ? *value : std::string(setting.default_value), environment);
}

}  // namespace mlxs
