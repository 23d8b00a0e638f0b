// Spans that a collector does not take are dropped: a trace is worth less than the memory of a
// server whose collector is down. The log tells of the first failure in a row.
#include "server/monitoring/otlp_exporter.h"

#include <spdlog/logger.h>

#include <chrono>
#include <cstddef>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "mlx_serving/error.h"
#include "server/http/http_client.h"
#include "server/http/service.h"
#include "telemetry/otlp_json.h"
#include "telemetry/span.h"

namespace mlxs {
namespace {

HttpUrl traces_url(const std::string& endpoint) {
  HttpUrl url = parse_http_url(endpoint);
  if (url.path == "/") url.path = kOtlpTracesPath;
  return url;
}

}  // namespace

OtlpExporter::OtlpExporter(OtlpOptions options)
    : options_(std::move(options)), url_(traces_url(options_.endpoint)) {
  worker_ = std::thread([this] { work(); });
}

OtlpExporter::~OtlpExporter() {
  {
    MutexLock lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  worker_.join();
}

void OtlpExporter::take(std::vector<Span> spans) {
  MutexLock lock(mutex_);
  if (waiting_.size() + spans.size() > options_.max_spans) {
    num_dropped_.add(spans.size());
    return;
  }
  waiting_.insert(
      waiting_.end(), std::make_move_iterator(spans.begin()), std::make_move_iterator(spans.end())
  );
}

void OtlpExporter::work() {
  bool is_last = false;
  while (!is_last) {
    std::vector<Span> spans;
    {
      MutexLock lock(mutex_);
      const auto deadline = std::chrono::steady_clock::now() + options_.interval;
      while (!is_stopping_) {
        if (changed_.wait_until(mutex_, deadline) == std::cv_status::timeout) break;
      }
      spans.swap(waiting_);
      is_last = is_stopping_;
    }
    if (!spans.empty()) send(spans);
  }
}

void OtlpExporter::send(const std::vector<Span>& spans) {
  std::string fault;
  try {
    const HttpAnswer answer = http_call(
        {.method = "POST",
         .url = url_,
         .body = otlp_json(spans, MLXS_VERSION),
         .timeout = options_.timeout}
    );
    const int status = answer.status;
    if (status / 100 != 2) fault = "status " + std::to_string(status);
  } catch (const Error& error) {
    fault = error.what();
  }
  (fault.empty() ? num_sent_ : num_dropped_).add(spans.size());
  if (!fault.empty() && !has_failed_ && options_.logger)
    options_.logger->warn("spans could not be exported error=\"{}\"", log_safe(fault));
  has_failed_ = !fault.empty();
}

}  // namespace mlxs
