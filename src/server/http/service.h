// What all sessions of one server share: its rules, routes and counters.
#pragma once

#include <spdlog/logger.h>

#include <atomic>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/thread_annotations.h"
#include "server/http/access_policy.h"
#include "server/http/message.h"
#include "server/http/open_counts.h"
#include "server/http/reply_memory.h"
#include "server/http/router.h"
#include "server/server_options.h"
#include "telemetry/http_metrics.h"

namespace mlxs {

class Connection;

// Makes ids that nobody can guess or collide with. Thread safety: next() from any thread.
class IdSource {
 public:
  IdSource();
  // RETURNS: `prefix` and 32 hexadecimal digits.
  [[nodiscard]] std::string next(std::string_view prefix);

 private:
  std::uint64_t key_;
  std::atomic<std::uint64_t> count_{0};
};

// The open connections. Thread safety: all members from any thread. Invariant: after close_all()
// none enters.
class ConnectionSet {
 public:
  // RETURNS: false where close_all() was called.
  [[nodiscard]] bool add(const std::shared_ptr<Connection>& connection);
  void remove(const Connection* connection);
  void close_all();
  [[nodiscard]] std::size_t size() const;

 private:
  mutable Mutex mutex_;
  std::unordered_map<const Connection*, std::shared_ptr<Connection>> connections_
      MLXS_GUARDED_BY(mutex_);
  bool closed_ MLXS_GUARDED_BY(mutex_) = false;
};

struct HttpService {
  ServerOptions options;
  AccessPolicy access;
  Router router;
  Dialect dialect;  // of faults that no route has
  std::shared_ptr<spdlog::logger> logger;
  IdSource ids;
  ConnectionSet connections;
  ReplyMemory replies;
  OpenCounts open_counts;
  HttpMetrics metrics;
  std::unique_ptr<boost::asio::ssl::context> tls;  // null: none
  std::atomic<bool> is_draining{false};
  std::atomic<int> num_active{0};  // requests read and not yet answered
};

// Counts one request for its scope.
class ActiveCount {
 public:
  explicit ActiveCount(std::atomic<int>& count) : count_(count) { ++count_; }
  ~ActiveCount() { --count_; }
  ActiveCount(const ActiveCount&) = delete;
  ActiveCount& operator=(const ActiveCount&) = delete;

 private:
  std::atomic<int>& count_;
};

// RETURNS: `text` fit for one line of a log: control characters, quotes and bytes beyond ASCII
// escaped, cut to `max_bytes` before escaping.
[[nodiscard]] std::string log_safe(std::string_view text, std::size_t max_bytes = 200);

}  // namespace mlxs
