// Who may ask: the checks of Host, Origin and API key that run before routing. It knows no routes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/key_ring.h"
#include "server/http/message.h"
#include "server/http/request_head.h"
#include "server/server_options.h"

namespace mlxs {

enum class Exposure { loopback, network };  // whether other machines reach the bound address

class AccessPolicy {
 public:
  AccessPolicy() = default;
  AccessPolicy(std::shared_ptr<KeyRing> keys, const ServerOptions& options, Exposure exposure);

  // Against DNS rebinding: a page of a foreign site must not reach a server that trusts its own
  // machine. ERRORS: HttpError 400 for a malformed Host, 403 forbidden_origin for a name that is
  // not allowed.
  void check_origin(const RequestHead& head) const;

  // RETURNS: the key of the request; nothing where none is asked for. ERRORS: HttpError 401 where
  // the request does not carry one in `field`.
  [[nodiscard]] std::optional<ApiKey> check_key(const RequestHead& head, KeyField field) const;

  // RETURNS: whether pages of this origin may read answers (CORS).
  [[nodiscard]] bool allows_pages_of(std::string_view origin) const;

  // RETURNS: whose share of the device the request uses where no key is asked for: what it presents
  // as its key, if anything; empty where keys are asked for, as check_key() names them.
  [[nodiscard]] std::string identity(const RequestHead& head) const;

 private:
  [[nodiscard]] bool allows_name(std::string_view name) const;

  std::shared_ptr<KeyRing> keys_;  // shared with nobody, but policies are copied
  std::vector<std::string> cors_origins_;
  std::vector<std::string> allowed_hosts_;
  Exposure exposure_ = Exposure::loopback;
};

// RETURNS: the name of "name:port", "[address]:port" or either without port, in lower case; empty
// where malformed.
[[nodiscard]] std::string host_name(std::string_view authority);

}  // namespace mlxs
