// Who may ask: the checks of Host, Origin and API key that run before routing. It knows no routes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/http/message.h"
#include "server/http/request_head.h"

namespace mlxs {

enum class Exposure { loopback, network };  // whether other machines reach the bound address

class AccessPolicy {
 public:
  AccessPolicy() = default;
  AccessPolicy(std::string api_key, std::vector<std::string> allowed_hosts, Exposure exposure);

  // Against DNS rebinding: a page of a foreign site must not reach a server that trusts its own
  // machine. ERRORS: HttpError 400 for a malformed Host, 403 forbidden_origin for a name that is
  // not allowed.
  void check_origin(const RequestHead& head) const;

  // ERRORS: HttpError 401 where a key is set and the request does not carry it in `field`.
  void check_key(const RequestHead& head, KeyField field) const;

 private:
  [[nodiscard]] bool allows_name(std::string_view name) const;

  std::string api_key_;
  std::vector<std::string> allowed_hosts_;
  Exposure exposure_ = Exposure::loopback;
};

// RETURNS: the name of "name:port", "[address]:port" or either without port, in lower case; empty
// where malformed.
[[nodiscard]] std::string host_name(std::string_view authority);

}  // namespace mlxs
