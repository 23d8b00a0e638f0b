// Beast parses the grammar; the rules on fields that decide about framing and identity are here.
#include "server/http/request_head.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "server/http/message.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxTraceparentBytes = 256;

namespace beast = boost::beast;
namespace http = boost::beast::http;

using Fields = http::request<http::empty_body>;

constexpr std::size_t kMaxRequestIdBytes = 128;
constexpr std::size_t kMaxIdempotencyKeyBytes = 255;

[[noreturn]] void bad_request(std::string message) {
  throw HttpError(client_fault(400, std::move(message)));
}

// `name` is a word or one of Beast's fields. RETURNS: the field's one value. ERRORS: 400 where it
// is there twice.
template <typename Name>
std::optional<std::string> single(const Fields& fields, Name name) {
  const auto [first, last] = fields.equal_range(name);
  if (first == last) return std::nullopt;
  if (std::next(first) != last)
    bad_request(fmt::format("the header field {} is repeated", std::string(first->name_string())));
  return std::string(first->value());
}

bool is_request_id(std::string_view text) {
  const auto is_allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= kMaxRequestIdBytes &&
         std::all_of(text.begin(), text.end(), is_allowed);
}

std::uint64_t parse_length(const std::string& text) {
  std::uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc{} || end != text.data() + text.size())
    bad_request("the header field Content-Length is not a number");
  return length;
}

void read_framing(const Fields& fields, RequestHead& head) {
  if (const auto length = single(fields, http::field::content_length))
    head.content_length = parse_length(*length);
  const auto coding = single(fields, http::field::transfer_encoding);
  if (!coding) return;
  if (head.content_length)
    bad_request("a request has Content-Length or Transfer-Encoding, not both");
  if (head.version == 10) bad_request("HTTP/1.0 has no Transfer-Encoding");
  if (!beast::iequals(*coding, "chunked")) {
    throw HttpError(client_fault(501, "the only Transfer-Encoding is chunked"));
  }
  head.is_chunked = true;
}

void read_target(const Fields& fields, RequestHead& head) {
  head.method = std::string(fields.method_string());
  head.target = std::string(fields.target());
  const bool is_asterisk = head.target == "*" && head.method == "OPTIONS";
  if (!is_asterisk && !head.target.starts_with('/'))
    bad_request("the request target must be a path");
  if (head.target.find('#') != std::string::npos) bad_request("the request target has a fragment");
  const std::size_t query = head.target.find('?');
  head.path = head.target.substr(0, query);
  if (query != std::string::npos) head.query = head.target.substr(query + 1);
}

void read_identity(const Fields& fields, RequestHead& head) {
  head.host = single(fields, http::field::host);
  if (!head.host && head.version == 11) bad_request("the header field Host is missing");
  head.origin = single(fields, http::field::origin);
  head.authorization = single(fields, http::field::authorization);
  head.api_key = single(fields, "X-API-Key");
  head.idempotency_key = single(fields, "Idempotency-Key");
  // A context that cannot be read is none: tracing never refuses a request.
  const auto trace = fields.find("traceparent");
  if (trace != fields.end() && trace->value().size() <= kMaxTraceparentBytes)
    head.traceparent = std::string(trace->value());
  if (head.idempotency_key && head.idempotency_key->size() > kMaxIdempotencyKeyBytes)
    bad_request("the header field Idempotency-Key is longer than 255 bytes");
  const auto id = fields.find("X-Request-Id");
  if (id != fields.end() &&
      is_request_id(std::string_view(id->value().data(), id->value().size()))) {
    head.request_id = std::string(id->value());
  }
}

void read_options(const Fields& fields, RequestHead& head) {
  if (const auto expect = single(fields, http::field::expect)) {
    if (!beast::iequals(*expect, "100-continue"))
      throw HttpError(client_fault(417, "the only Expect is 100-continue"));
    head.expects_continue = head.version == 11;
  }
  const auto encoding = single(fields, http::field::content_encoding);
  if (encoding && !beast::iequals(*encoding, "identity")) {
    throw HttpError(
        client_fault(415, "compressed bodies are not supported; send it without Content-Encoding")
    );
  }
}

// RETURNS: whether the first line ends as that of a request in some version of HTTP does.
bool names_a_version(std::string_view bytes) {
  const std::string_view line = bytes.substr(0, bytes.find("\r\n"));
  if (std::count(line.begin(), line.end(), ' ') != 2) return false;
  const std::string_view version = line.substr(line.rfind(' ') + 1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return version.size() == 8 && version.starts_with("HTTP/") && is_digit(version[5]) &&
         version[6] == '.' && is_digit(version[7]);
}

}  // namespace

RequestHead parse_request_head(std::string_view bytes) {
  http::request_parser<http::empty_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(
      std::min<std::size_t>(bytes.size() + 1, std::numeric_limits<std::uint32_t>::max())
  ));
  parser.body_limit(boost::none);
  parser.eager(false);
  beast::error_code ec;
  std::size_t num_parsed = 0;
  // Beast stops after the start line or the fields, whichever ends a step.
  while (!ec && !parser.is_header_done() && num_parsed < bytes.size()) {
    const std::size_t step = parser.put(boost::asio::buffer(bytes.substr(num_parsed)), ec);
    if (!ec && step == 0) break;
    num_parsed += step;
  }
  if (ec == http::error::bad_version && names_a_version(bytes))
    throw HttpError(client_fault(505, "only HTTP/1.0 and HTTP/1.1 are spoken here"));
  if (ec) bad_request(fmt::format("malformed request: {}", ec.message()));
  if (!parser.is_header_done() || num_parsed != bytes.size()) bad_request("malformed request head");

  const Fields& fields = parser.get();
  RequestHead head;
  head.version = static_cast<int>(fields.version());
  if (head.version != 10 && head.version != 11) {
    throw HttpError(client_fault(505, "only HTTP/1.0 and HTTP/1.1 are spoken here"));
  }
  head.keep_alive = fields.keep_alive() ? KeepAlive::yes : KeepAlive::no;
  read_target(fields, head);
  read_framing(fields, head);
  read_identity(fields, head);
  read_options(fields, head);
  const auto upgrade = fields.find(http::field::upgrade);
  if (upgrade != fields.end() && beast::iequals(upgrade->value(), "websocket"))
    head.upgrade_head = std::string(bytes);
  return head;
}

}  // namespace mlxs
