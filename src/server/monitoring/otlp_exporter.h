// Sends finished spans to a collector over OTLP/HTTP, on a thread of its own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/thread_annotations.h"
#include "server/http/http_client.h"
#include "telemetry/metric.h"
#include "telemetry/span.h"

namespace spdlog {
// NOLINTNEXTLINE(readability-identifier-naming): the library's name
class logger;
}  // namespace spdlog

namespace mlxs {

struct OtlpOptions {
  std::string endpoint = {};                 // http://HOST:PORT, or with a path of its own
  std::chrono::milliseconds interval{1000};  // between two exports
  std::chrono::milliseconds timeout{5000};   // of one
  std::size_t max_spans = 8192;              // that wait; of more the newest are dropped
  std::shared_ptr<spdlog::logger> logger = {};
};

// Thread safety: all members from any thread.
class OtlpExporter final : public SpanSink {
 public:
  // ERRORS: invalid_config for an endpoint that is no HTTP URL.
  explicit OtlpExporter(OtlpOptions options);
  ~OtlpExporter() override;  // sends what waits, once
  OtlpExporter(const OtlpExporter&) = delete;
  OtlpExporter& operator=(const OtlpExporter&) = delete;

  void take(std::vector<Span> spans) override;

  [[nodiscard]] std::uint64_t num_sent() const { return num_sent_.value(); }
  [[nodiscard]] std::uint64_t num_dropped() const { return num_dropped_.value(); }

 private:
  void work();
  void send(const std::vector<Span>& spans);

  const OtlpOptions options_;
  const HttpUrl url_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::vector<Span> waiting_ MLXS_GUARDED_BY(mutex_);
  bool is_stopping_ MLXS_GUARDED_BY(mutex_) = false;
  Counter num_sent_;
  Counter num_dropped_;
  bool has_failed_ = false;  // the last export; of the worker alone
  std::thread worker_;
};

}  // namespace mlxs
