// Asks a server one thing over plain HTTP: for exporters and tools on threads of their own. It
// keeps no connection and knows no TLS.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/message.h"

namespace mlxs {

struct HttpUrl {
  std::string host;
  std::string port;
  std::string path;  // with the query; at least "/"
};

// ERRORS: Error(invalid_config) for what is not http://HOST[:PORT][/PATH].
[[nodiscard]] HttpUrl parse_http_url(std::string_view url);

struct HttpCall {
  std::string_view method = "GET";
  HttpUrl url;
  std::string body = {};  // JSON; empty: none
  std::vector<HttpHeader> headers = {};
  std::chrono::milliseconds timeout{10'000};  // from the start to the last byte
  // Called with the bytes of the body as they come; not set: HttpAnswer::body has them.
  std::function<void(std::string_view)> on_piece = {};
};

struct HttpAnswer {
  int status = 0;
  std::string body = {};
};

// Asks and reads the answer. It blocks. ERRORS: Error(io_error) where no whole answer came.
[[nodiscard]] HttpAnswer http_call(const HttpCall& call);

}  // namespace mlxs
