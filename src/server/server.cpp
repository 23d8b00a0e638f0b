// Owns the threads, and puts listener, routes and engine together.
#include "server/server.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "server/api_context.h"
#include "server/http/access_policy.h"
#include "server/http/key_ring.h"
#include "server/http/listener.h"
#include "server/http/router.h"
#include "server/http/service.h"
#include "server/http/tls.h"
#include "server/inspect/request_log.h"
#include "server/memory_trim.h"
#include "server/models/model_host.h"
#include "server/monitoring/otlp_exporter.h"
#include "server/offload.h"
#include "server/openai/api_model.h"
#include "server/openai/error_body.h"
#include "server/responses/background_jobs.h"
#include "server/responses/response_store.h"
#include "server/route_table.h"
#include "server/server_options.h"
#include "telemetry/collector.h"
#include "telemetry/energy.h"
#include "telemetry/http_metrics.h"

namespace mlxs {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

// to write out answers that the engine has finished
constexpr std::chrono::milliseconds kFlushTimeout{2000};
constexpr std::chrono::milliseconds kFlushPoll{5};
constexpr int kNumOffloadThreads = 1;

[[noreturn]] void invalid_option(const std::string& message) {
  throw Error(ErrorCode::invalid_config, message);
}

void check_options(const ServerOptions& options) {
  if (options.num_threads < 1)
    invalid_option(
        "the server needs at least 1 thread, got " + std::to_string(options.num_threads)
    );
  if (options.max_connections < 1)
    invalid_option(
        "max_connections must be at least 1, got " + std::to_string(options.max_connections)
    );
  if (options.max_header_bytes < 1024)
    invalid_option(
        "max_header_bytes must be at least 1024, got " + std::to_string(options.max_header_bytes)
    );
  if (options.tls_certificate.empty() != options.tls_key.empty())
    invalid_option("TLS needs both a certificate and a key; only one of them is given");
  const bool has_blank = std::any_of(options.api_key.begin(), options.api_key.end(), [](char c) {
    return c <= ' ' || c > '~';
  });
  if (has_blank) invalid_option("the API key must be printable ASCII without blanks");
}

std::vector<HttpRouteName> names_of(const std::vector<Route>& routes) {
  std::vector<HttpRouteName> names;
  names.reserve(routes.size());
  for (const Route& route : routes)
    names.push_back({.method = std::string(route.method), .path = std::string(route.path)});
  return names;
}

}  // namespace

class Server::Impl {
 public:
  Impl(Engine& engine, ServerOptions options);
  ~Impl() { stop(); }

  void start();
  void run();
  int drain(std::chrono::milliseconds timeout);
  void stop();
  // NOLINTNEXTLINE(bugprone-unchecked-optional-access): callers have start() behind them
  [[nodiscard]] const Listener& listener() const { return *listener_; }

 private:
  void serve();
  void start_tracing();

  Engine& engine_;
  HttpService service_;
  asio::io_context io_;
  Offload offload_;  // joined before the io_context, which its answers go to, goes away
  ResponseStore responses_;
  BackgroundJobs jobs_;
  const EnergyMeter energy_{EnergySources::of_this_machine()};
  std::shared_ptr<OtlpExporter> exporter_;  // shared with traces under way; null: no spans
  RequestLog requests_;
  ModelHost models_;
  ApiContext context_;
  MemoryTrim memory_trim_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::optional<Listener> listener_;

  Mutex mutex_;
  ConditionVariable stopped_changed_;
  bool is_stopping_ MLXS_GUARDED_BY(mutex_) = false;
  bool is_stopped_ MLXS_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

Server::Impl::Impl(Engine& engine, ServerOptions options)
    : engine_(engine),
      io_(options.num_threads),
      offload_(kNumOffloadThreads),
      responses_(options.responses_store, options.max_responses),
      jobs_(io_, service_),
      models_(
          std::move(options.models),
          {.max_loaded = options.max_loaded_models, .memory_bytes = options.models_memory_bytes}
      ),
      context_{
          engine,
          service_,
          make_api_model(engine.model(), options.model_aliases),
          offload_,
          responses_,
          jobs_,
          energy_,
          requests_,
          models_,
          options.embedding_pooling,
          options.rerank
      },
      memory_trim_(io_, service_),
      work_(io_.get_executor()) {
  check_options(options);
  service_.options = std::move(options);
  service_.dialect = kOpenaiDialect;
  service_.logger = service_.options.logger;
  if (!service_.logger)
    service_.logger = std::make_shared<spdlog::logger>("silent", spdlog::sinks_init_list{});
  models_.start(context_);
  service_.router = Router(all_routes(context_));
  service_.metrics = HttpMetrics(names_of(service_.router.routes()));
}

void Server::Impl::start() {
  const ServerOptions& options = service_.options;
  if (!options.tls_certificate.empty())
    service_.tls = make_tls_context(options.tls_certificate, options.tls_key);
  auto keys = std::make_shared<KeyRing>(options.api_key, options.api_keys, service_.logger);
  const bool is_guarded = keys->asks();
  start_tracing();
  listener_.emplace(io_, service_);
  if (listener_->exposure() == Exposure::network && !is_guarded && !options.allow_insecure_bind) {
    const std::string url = listener_->url();
    listener_.reset();
    invalid_option(
        url +
        " can be reached from other machines; set an API key, or allow it without one explicitly"
    );
  }
  service_.access = AccessPolicy(std::move(keys), options, listener_->exposure());
  if (listener_->exposure() == Exposure::network && !is_guarded) {
    service_.logger->warn(
        "every machine that reaches {} can use this server: no API key is set", listener_->url()
    );
  }
  listener_->start();
  memory_trim_.start();
  for (int i = 0; i < options.num_threads; ++i) threads_.emplace_back([this] { serve(); });
}

void Server::Impl::start_tracing() {
  const ServerOptions& options = service_.options;
  if (options.otlp_endpoint.empty()) return;
  exporter_ = std::make_shared<OtlpExporter>(
      OtlpOptions{.endpoint = options.otlp_endpoint, .logger = service_.logger}
  );
  engine_.collector().export_spans(exporter_, options.trace_share);
}

// Sessions catch what they throw; what still comes here is a fault of one handler and must not end
// the thread.
void Server::Impl::serve() {
  while (true) {
    try {
      io_.run();
      return;
    } catch (const std::exception& error) {
      service_.logger->error("a handler of the server failed error=\"{}\"", log_safe(error.what()));
    }
  }
}

void Server::Impl::run() {
  MutexLock lock(mutex_);
  while (!is_stopped_) stopped_changed_.wait(mutex_);
}

int Server::Impl::drain(std::chrono::milliseconds timeout) {
  service_.is_draining = true;
  const Clock::time_point begin = Clock::now();
  int num_cut = engine_.drain(timeout);
  const auto left = timeout - (Clock::now() - begin);
  num_cut += models_.drain(std::chrono::duration_cast<std::chrono::milliseconds>(left));
  const Clock::time_point deadline = Clock::now() + kFlushTimeout;
  while (service_.num_active > 0 && Clock::now() < deadline)
    std::this_thread::sleep_for(kFlushPoll);
  return num_cut;
}

void Server::Impl::stop() {
  {
    MutexLock lock(mutex_);
    if (is_stopping_) {
      while (!is_stopped_) stopped_changed_.wait(mutex_);
      return;
    }
    is_stopping_ = true;
  }
  if (listener_ && !threads_.empty()) {
    listener_->close();
    service_.connections.close_all();
    memory_trim_.stop();
  }
  jobs_.cancel_all();
  if (exporter_) engine_.collector().export_spans(nullptr, 0.0);
  work_.reset();
  for (std::thread& thread : threads_) thread.join();
  {
    MutexLock lock(mutex_);
    is_stopped_ = true;
  }
  stopped_changed_.notify_all();
}

Server::Server(Engine& engine, ServerOptions options)
    : impl_(std::make_unique<Impl>(engine, std::move(options))) {}
Server::~Server() = default;
void Server::start() { impl_->start(); }
std::uint16_t Server::port() const { return impl_->listener().port(); }
std::string Server::url() const { return impl_->listener().url(); }
void Server::run() { impl_->run(); }
int Server::drain(std::chrono::milliseconds timeout) { return impl_->drain(timeout); }
void Server::stop() { impl_->stop(); }

}  // namespace mlxs
