// What the HTTP server counts: requests by route and status, their times and sizes.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "telemetry/buckets.h"
#include "telemetry/histogram.h"
#include "telemetry/metric.h"

namespace mlxs {

struct HttpRouteName {
  std::string method;
  std::string path;
};

// One request that was answered.
struct HttpRecord {
  std::size_t route = 0;  // an index of the constructor's list; its size: no route was found
  int status = 0;
  std::uint64_t request_bytes = 0;  // of the body
  std::chrono::nanoseconds duration{0};
};

// Thread safety: record() and the const members from any thread.
class HttpMetrics {
 public:
  static constexpr std::size_t kNumClasses = 5;  // 1xx to 5xx

  struct Route {
    HttpRouteName name;
    std::array<Counter, kNumClasses> by_class = {};
    Counter request_bytes = {};
    Histogram duration{kFirstTokenEdges};
  };

  HttpMetrics() = default;
  explicit HttpMetrics(std::vector<HttpRouteName> routes);

  // A status outside of 100 to 599 means that nothing was answered and counts nowhere.
  void record(const HttpRecord& record) const;

  [[nodiscard]] const std::vector<std::unique_ptr<Route>>& routes() const { return routes_; }

 private:
  std::vector<std::unique_ptr<Route>> routes_;  // the last one: no route
};

}  // namespace mlxs
