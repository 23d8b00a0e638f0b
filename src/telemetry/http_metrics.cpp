// One row a route, so that labels are as few as routes and no client makes more.
#include "telemetry/http_metrics.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "telemetry/exposition_parts.h"
#include "telemetry/family_list.h"

namespace mlxs {
namespace {

constexpr std::array<const char*, HttpMetrics::kNumClasses> kClasses = {
    "1xx", "2xx", "3xx", "4xx", "5xx"
};

}  // namespace

HttpMetrics::HttpMetrics(std::vector<HttpRouteName> routes) {
  routes.push_back({.method = "none", .path = "none"});
  for (HttpRouteName& name : routes) {
    routes_.push_back(std::make_unique<Route>());
    routes_.back()->name = std::move(name);
  }
}

void HttpMetrics::record(const HttpRecord& record) const {
  const int status_class = record.status / 100 - 1;
  if (routes_.empty() || status_class < 0 || status_class >= static_cast<int>(kNumClasses)) return;
  Route& route = *routes_[std::min(record.route, routes_.size() - 1)];
  route.by_class[static_cast<std::size_t>(status_class)].add();
  route.request_bytes.add(record.request_bytes);
  route.duration.observe(
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, record.duration.count()))
  );
}

void add_http_figures(const HttpMetrics& http, FamilyList& list) {
  for (const auto& route : http.routes()) {
    const Labels labels = {{"handler", route->name.path}, {"method", route->name.method}};
    std::uint64_t num_requests = 0;
    for (std::size_t i = 0; i < kClasses.size(); ++i) {
      const std::uint64_t count = route->by_class[i].value();
      num_requests += count;
      if (count == 0) continue;
      Labels with_class = labels;
      with_class.push_back({"status", kClasses[i]});
      list.counter(
          {"http_requests_total", "HTTP requests by route, method and class of status."},
          std::move(with_class),
          static_cast<double>(count)
      );
    }
    if (num_requests == 0) continue;
    list.counter(
        {"http_request_body_bytes_total", "Bytes of the bodies of HTTP requests."},
        labels,
        static_cast<double>(route->request_bytes.value())
    );
    list.histogram(
        {"http_request_duration_seconds", "From the head of an HTTP request to its answer's end."},
        labels,
        route->duration.snapshot(),
        kNanoseconds
    );
  }
}

}  // namespace mlxs
