// RFC 3339, section 5.6.
#include "server/ollama/rfc3339.h"

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <ctime>
#include <string>

namespace mlxs {

std::string rfc3339(std::chrono::system_clock::time_point time) {
  const auto since_epoch =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch());
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  return fmt::format(
      "{:%Y-%m-%dT%H:%M:%S}.{:06d}Z", fmt::gmtime(seconds), since_epoch.count() % 1'000'000
  );
}

}  // namespace mlxs
