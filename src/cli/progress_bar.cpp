// Draws in place with a carriage return and "erase to the end of the line".
#include "cli/progress_bar.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>

namespace mlxs {

ProgressBar::~ProgressBar() {
  if (is_drawn_) terminal_ << "\r\x1b[K" << std::flush;
}

void ProgressBar::show(std::int64_t done_bytes, std::int64_t total_bytes) {
  constexpr int kCells = 30;
  constexpr std::chrono::milliseconds kInterval{50};
  if (total_bytes <= 0) return;
  const auto now = std::chrono::steady_clock::now();
  if (is_drawn_ && now - last_drawn_ < kInterval && done_bytes < total_bytes) return;
  last_drawn_ = now;
  is_drawn_ = true;
  const double share =
      std::clamp(static_cast<double>(done_bytes) / static_cast<double>(total_bytes), 0.0, 1.0);
  const auto num_full = static_cast<std::size_t>(share * kCells);
  terminal_ << fmt::format(
                   "\rloading [{}{}] {:3.0f} % of {:.1f} MB\x1b[K",
                   std::string(num_full, '='),
                   std::string(kCells - num_full, ' '),
                   share * 100.0,
                   static_cast<double>(total_bytes) / 1e6
               )
            << std::flush;
}

}  // namespace mlxs
