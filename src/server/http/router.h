// The table of routes, as data. It does not read sockets and does not answer.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/message.h"
#include "server/http/task.h"

namespace mlxs {

class Exchange;

enum class RouteAccess { key, open };  // open: answered without an API key

enum class RouteWork {
  light,     // answered at once
  generate,  // runs the model: counts against a key's limit, and may be repeated by Idempotency-Key
  upgrade,   // takes the connection over as a WebSocket
};

// What a route must say of itself. It has no default, so that a route without one does not compile.
class RoutePolicy {
 public:
  // REQUIRES: the dialect outlives the policy.
  RoutePolicy(RouteAccess access, RouteWork work, const Dialect& dialect)
      : access_(access), work_(work), dialect_(&dialect) {}
  [[nodiscard]] RouteAccess access() const { return access_; }
  [[nodiscard]] RouteWork work() const { return work_; }
  [[nodiscard]] const Dialect& dialect() const { return *dialect_; }

 private:
  RouteAccess access_;
  RouteWork work_;
  const Dialect* dialect_;
};

using Handler = std::function<Task<void>(Exchange&)>;

struct Route {
  std::string_view method;  // GET also answers HEAD
  std::string_view path;    // exact, but that a "*" matches any non-empty piece up to what follows
  RoutePolicy policy;
  Handler handler;
};

struct RouteMatch {
  const Route* route = nullptr;      // null: no route, or none with this method
  std::string allow;                 // methods of the path; empty: the path is unknown
  const Dialect* dialect = nullptr;  // of the path; null: the path is unknown
  std::string_view tail;             // what "*" matched, as sent
};

class Router {
 public:
  Router() = default;
  explicit Router(std::vector<Route> routes) : routes_(std::move(routes)) {}

  // Matches the bytes of `path` as they are: no decoding, no normalising.
  [[nodiscard]] RouteMatch match(std::string_view method, std::string_view path) const;
  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

// RETURNS: `text` with %XX decoded. ERRORS: HttpError 400 for a malformed escape.
[[nodiscard]] std::string percent_decode(std::string_view text);

}  // namespace mlxs
