// A figure that the server does not tell is a dash.
#include "cli/top_frame.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "cli/metrics_text.h"

namespace mlxs {
namespace {

using LabelMap = std::map<std::string, std::string>;

constexpr std::size_t kBarWidth = 30;
constexpr double kMsPerSecond = 1e3;

std::string number(std::optional<double> value, int digits = 0) {
  return value && std::isfinite(*value) ? fmt::format("{:.{}f}", *value, digits) : "-";
}

std::string bar(double share) {
  const double filled = std::clamp(share, 0.0, 1.0) * static_cast<double>(kBarWidth);
  const auto num_filled = static_cast<std::size_t>(std::lround(filled));
  return "[" + std::string(num_filled, '#') + std::string(kBarWidth - num_filled, '.') + "]";
}

class Frame {
 public:
  Frame(const MetricsText& before, const MetricsText& now, double seconds)
      : before_(before), now_(now), seconds_(seconds) {}

  [[nodiscard]] std::optional<double> value(const std::string& name, const LabelMap& labels = {})
      const {
    return now_.sum("mlx_serving_" + name, labels);
  }

  // RETURNS: how much a counter grew.
  [[nodiscard]] std::optional<double> growth(const std::string& name, const LabelMap& labels = {})
      const {
    const auto now = value(name, labels);
    const auto before = before_.sum("mlx_serving_" + name, labels);
    if (!now) return std::nullopt;
    return std::max(0.0, *now - before.value_or(0.0));
  }

  [[nodiscard]] std::optional<double> rate(const std::string& name, const LabelMap& labels = {})
      const {
    const auto grown = growth(name, labels);
    if (!grown) return std::nullopt;
    return *grown / seconds_;
  }

  [[nodiscard]] std::string quantiles(const std::string& phase) const {
    std::string text;
    for (const char* quantile : {"0.5", "0.95", "0.99"}) {
      const auto seconds = value("phase_seconds", {{"phase", phase}, {"quantile", quantile}});
      const auto ms = seconds ? std::optional(*seconds * kMsPerSecond) : std::nullopt;
      text += fmt::format("{:>12}", number(ms, 2));
    }
    return text;
  }

  // RETURNS: a bar and the percentage of a share; a dash where it is not known.
  [[nodiscard]] static std::string share(std::optional<double> part, std::optional<double> whole) {
    if (!part || !whole || *whole <= 0.0) return bar(0.0) + "    -";
    return fmt::format("{} {:>3.0f}%", bar(*part / *whole), 100.0 * *part / *whole);
  }

 private:
  const MetricsText& before_;
  const MetricsText& now_;
  double seconds_;
};

}  // namespace

std::string top_frame(
    const MetricsText& before, const MetricsText& now, double seconds, std::string_view url
) {
  const Frame frame(before, now, seconds);
  const auto state = [&frame](const char* name) {
    return number(frame.value("sequences", {{"state", name}}));
  };
  const auto idle = frame.growth("device_seconds_total", {{"state", "idle"}});
  std::string text = fmt::format(
      "mlx-serving top   {}   {}\n\n",
      escape_control(url),
      escape_control(now.label("mlx_serving_model_info", "model"))
  );
  text += fmt::format(
      "requests    running {:>5}   waiting {:>5}   parked {:>5}   swapped {:>5}\n",
      state("running"),
      state("waiting"),
      state("parked"),
      state("swapped")
  );
  text += fmt::format(
      "            {} in all, {} failed, {} refused, {} preempted\n",
      number(frame.value("requests_total")),
      number(frame.value("requests_finished_total", {{"reason", "error"}})),
      number(frame.value("refused_requests_total")),
      number(frame.value("preemptions_total"))
  );
  text += fmt::format(
      "tokens/s    generated {:>9}   prompt {:>9}   steps/s {:>7}\n\n",
      number(frame.rate("generated_tokens_total"), 1),
      number(frame.rate("prompt_tokens_total"), 1),
      number(frame.rate("steps_total"), 1)
  );
  text += fmt::format("{:<12}{:>12}{:>12}{:>12}\n", "milliseconds", "p50", "p95", "p99");
  text += fmt::format("first token {}\n", frame.quantiles("first_token"));
  text += fmt::format("next token  {}\n", frame.quantiles("next_token"));
  text += fmt::format("queue       {}\n\n", frame.quantiles("queue"));
  text += "pages held  " +
          Frame::share(frame.value("pages", {{"state", "held"}}), frame.value("pages"));
  text += "\npages cached" +
          Frame::share(frame.value("pages", {{"state", "cached"}}), frame.value("pages"));
  text +=
      "\nprefix hits " +
      Frame::share(frame.value("cached_prompt_tokens_total"), frame.value("prompt_tokens_total"));
  text += "\ndevice idle " + Frame::share(idle, frame.growth("device_seconds_total")) + "\n";
  return text;
}

}  // namespace mlxs
