// Names are compared in lower case; ports do not matter to rebinding.
#include "server/http/access_policy.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/beast/core/string.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/http/key_ring.h"
#include "server/http/message.h"
#include "server/http/request_head.h"
#include "server/server_options.h"

namespace mlxs {
namespace {

constexpr std::string_view kBearer = "bearer ";

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 255 && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alnum(c) || c == '.' || c == '-' || c == '_';
  });
}

bool is_ipv6_text(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alnum(c) || c == ':' || c == '.';
  });
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

[[noreturn]] void forbidden(const char* field, const std::string& name) {
  throw HttpError(client_fault(
      403,
      std::string(field) + " names \"" + name + "\", which this server does not answer to",
      "forbidden_origin"
  ));
}

// RETURNS: the bearer token, a view of `head`; empty where there is none.
std::string_view presented_key(const RequestHead& head) {
  const bool is_bearer =
      head.authorization && lower(head.authorization->substr(0, kBearer.size())) == kBearer;
  return is_bearer ? std::string_view(*head.authorization).substr(kBearer.size())
                   : std::string_view();
}

}  // namespace

std::string host_name(std::string_view authority) {
  std::string_view name = authority;
  std::string_view rest;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return {};
    name = authority.substr(1, end - 1);
    rest = authority.substr(end + 1);
    if (!is_ipv6_text(name)) return {};
  } else {
    const std::size_t colon = authority.find(':');
    name = authority.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view{} : authority.substr(colon);
    if (!is_name(name)) return {};
  }
  if (!rest.empty() && (rest.front() != ':' || !is_port(rest.substr(1)))) return {};
  return lower(name);
}

AccessPolicy::AccessPolicy(
    std::shared_ptr<KeyRing> keys, const ServerOptions& options, Exposure exposure
)
    : keys_(std::move(keys)),
      cors_origins_(options.cors_origins),
      allowed_hosts_(options.allowed_hosts),
      exposure_(exposure) {
  for (std::string& name : allowed_hosts_) name = lower(name);
  for (std::string& origin : cors_origins_) origin = lower(origin);
}

bool AccessPolicy::allows_pages_of(std::string_view origin) const {
  const std::string name = lower(origin);
  return std::any_of(cors_origins_.begin(), cors_origins_.end(), [&](const std::string& allowed) {
    return allowed == "*" || allowed == name;
  });
}

bool AccessPolicy::allows_name(std::string_view name) const {
  if (std::find(allowed_hosts_.begin(), allowed_hosts_.end(), name) != allowed_hosts_.end())
    return true;
  if (exposure_ == Exposure::network) return allowed_hosts_.empty();
  if (name == "localhost") return true;
  boost::system::error_code ec;
  const auto address = boost::asio::ip::make_address(std::string(name), ec);
  return !ec && address.is_loopback();
}

void AccessPolicy::check_origin(const RequestHead& head) const {
  if (head.host) {
    const std::string name = host_name(*head.host);
    if (name.empty()) throw HttpError(client_fault(400, "the header field Host is malformed"));
    if (!allows_name(name)) forbidden("Host", name);
  }
  if (!head.origin || allows_pages_of(*head.origin)) return;
  const std::size_t scheme_end = head.origin->find("://");
  const std::string name = scheme_end == std::string::npos
                               ? std::string()
                               : host_name(std::string_view(*head.origin).substr(scheme_end + 3));
  // "null" and everything malformed has no name.
  const bool is_open = exposure_ == Exposure::network && allowed_hosts_.empty();
  if (!is_open && (name.empty() || !allows_name(name)))
    forbidden("Origin", name.empty() ? "null" : name);
}

std::string AccessPolicy::identity(const RequestHead& head) const {
  return keys_ && keys_->asks() ? std::string() : std::string(presented_key(head));
}

std::optional<ApiKey> AccessPolicy::check_key(const RequestHead& head, KeyField field) const {
  if (!keys_ || !keys_->asks()) return std::nullopt;
  std::string_view presented = presented_key(head);
  if (presented.empty() && field == KeyField::bearer_or_api_key && !head.authorization &&
      head.api_key) {
    presented = *head.api_key;
  }
  std::optional<ApiKey> key = keys_->find(presented);
  if (key) return key;
  HttpFault fault = client_fault(
      401,
      field == KeyField::bearer
          ? "the API key is missing or wrong; send it as \"Authorization: Bearer KEY\""
          : "the API key is missing or wrong; send it as \"X-API-Key: KEY\"",
      "invalid_api_key"
  );
  fault.headers.push_back({"WWW-Authenticate", "Bearer"});
  throw HttpError(std::move(fault));
}

}  // namespace mlxs
