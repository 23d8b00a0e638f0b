// A linear search: there are few routes.
#include "server/http/router.h"

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

#include "server/http/message.h"

namespace mlxs {
namespace {

bool matches_path(const Route& route, std::string_view path, std::string_view& tail) {
  const std::size_t star = route.path.find('*');
  if (star == std::string_view::npos) return route.path == path;
  const std::string_view prefix = route.path.substr(0, star);
  const std::string_view suffix = route.path.substr(star + 1);
  if (path.size() <= prefix.size() + suffix.size()) return false;
  if (!path.starts_with(prefix) || !path.ends_with(suffix)) return false;
  tail = path.substr(prefix.size(), path.size() - prefix.size() - suffix.size());
  return true;
}

void add_method(std::string& allow, std::string_view method) {
  if (allow.find(method) != std::string::npos) return;
  if (!allow.empty()) allow += ", ";
  allow += method;
  if (method == "GET") allow += ", HEAD";
}

}  // namespace

RouteMatch Router::match(std::string_view method, std::string_view path) const {
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  RouteMatch match;
  for (const Route& route : routes_) {
    std::string_view tail;
    if (!matches_path(route, path, tail)) continue;
    add_method(match.allow, route.method);
    if (match.dialect == nullptr) match.dialect = &route.policy.dialect();
    // The first wins: a more particular path stands before a wider one.
    if (route.method != wanted || match.route != nullptr) continue;
    match.route = &route;
    match.tail = tail;
  }
  if (!match.allow.empty()) match.allow += ", OPTIONS";
  return match;
}

std::string percent_decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    unsigned value = 0;
    const std::string_view digits = text.substr(i + 1, 2);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2) {
      throw HttpError(client_fault(400, "the request target has a malformed percent escape"));
    }
    decoded += static_cast<char>(value);
    i += 2;
  }
  return decoded;
}

}  // namespace mlxs
