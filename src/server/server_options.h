// What the server is started with. Flags and environment variables of the same meaning are in
// src/base/settings.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mlx_serving/request.h"
#include "server/models/model_source.h"

namespace spdlog {
// NOLINTNEXTLINE(readability-identifier-naming): the library's name
class logger;
}  // namespace spdlog

namespace mlxs {

// Whether documents are ranked; automatic: where the model's name says that it is a reranker.
enum class RerankUse : std::uint8_t { automatic, on, off };

struct ServerOptions {
  std::string host = "127.0.0.1";  // a name or an IP address
  std::uint16_t port = 8080;       // 0: a free one
  std::string api_key;             // that clients must send as a bearer token; empty: none
  std::string api_keys;            // file of further keys; empty: none
  // permits an address that other machines reach without an api_key
  bool allow_insecure_bind = false;

  std::string tls_certificate;  // file of a certificate chain in PEM; empty: no TLS
  std::string tls_key;          // file of its key in PEM

  // Further names that the Host and Origin headers may carry. On a loopback address localhost and
  // the loopback addresses are always allowed; elsewhere every name is, unless this list names
  // some.
  std::vector<std::string> allowed_hosts;

  // Origins whose pages may use the API from a browser, as "https://example.com"; "*": all.
  std::vector<std::string> cors_origins;

  std::vector<std::string> model_aliases;  // further names under which the engine's model is served

  std::vector<ModelSource> models;       // that can be loaded beside the engine's
  int max_loaded_models = 1;             // of those at a time
  std::int64_t models_memory_bytes = 0;  // of those together; 0: no limit

  std::string responses_store = ":memory:";  // file that keeps responses; ":memory:": none does
  std::int64_t max_responses = 10'000;       // kept; of more the oldest go

  Pooling embedding_pooling = Pooling::mean;  // of hidden states into an embedding
  RerankUse rerank = RerankUse::automatic;

  int num_threads = 1;           // that answer HTTP
  int max_connections = 1024;    // one more is told 503
  int max_socket_requests = 32;  // open at a time on one WebSocket; one more is told 429

  std::size_t max_header_bytes = std::size_t{16} << 10;
  std::size_t max_body_bytes = std::size_t{32} << 20;
  std::chrono::milliseconds header_timeout{10'000};  // from the first byte of a head to its last
  std::chrono::milliseconds body_timeout{10'000};    // without a byte of a body
  // from the first byte of a body to its last
  std::chrono::milliseconds body_total_timeout{120'000};
  std::chrono::milliseconds idle_timeout{30'000};  // without a request on an open connection
  // without progress of a client that does not read
  std::chrono::milliseconds write_timeout{30'000};
  std::chrono::milliseconds health_timeout{30'000};  // without progress of an engine that has work

  std::string otlp_endpoint;  // http://HOST:PORT of an OTLP collector; empty: no spans are exported
  double trace_share = 1.0;   // of requests without a trace context that are traced, in [0, 1]
  bool log_prompts = false;   // bodies of requests go into the log, at level info
  std::shared_ptr<spdlog::logger> logger;  // null: nothing is logged
};

}  // namespace mlxs
