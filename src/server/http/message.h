// Requests, responses and faults as the handlers see them: no sockets, no Beast, no JSON.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "mlx_serving/error.h"

namespace mlxs {

struct HttpHeader {
  std::string name;
  std::string value;
};

struct HttpRequest {
  std::string id;      // the client's X-Request-Id where it is a sound one, else ours
  std::string method;  // "GET"
  std::string path;    // of the target, as sent, without the query
  std::string query;   // what followed its "?", as sent
  std::string tail;    // what the route's final "*" matched, percent-decoded
  std::string body;
  std::string owner;    // the name of the API key that it came with; empty: none is asked for
  int max_open = 0;     // requests that the key may have open; 0: no limit
  double weight = 0.0;  // of the key's share of the device; 0: as the engine has it
  std::string share;    // whose share of the device it uses: AccessPolicy::identity()
  std::string idempotency_key;  // empty: none
  std::string traceparent;      // W3C trace context of the client, as sent; empty: none
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<HttpHeader> headers;
};

// What went wrong with a request, before it takes the API's form.
struct HttpFault {
  int status = 500;
  std::string_view type;
  std::string_view code;  // empty: null
  std::string message;
  std::string param;  // empty: null
  std::vector<HttpHeader> headers;
};

class HttpError : public std::runtime_error {
 public:
  explicit HttpError(HttpFault fault)
      : std::runtime_error(fault.message), fault_(std::move(fault)) {}
  [[nodiscard]] const HttpFault& fault() const { return fault_; }

 private:
  HttpFault fault_;
};

// RETURNS: the fault of a request that is the client's mistake.
[[nodiscard]] HttpFault client_fault(int status, std::string message, std::string_view code = {});

// RETURNS: the fault that the table of error codes gives, with Retry-After where trying again
// helps.
[[nodiscard]] HttpFault fault_of(const Error& error);

// Turns a fault into a body of type application/json.
using FaultRenderer = std::string (*)(const HttpFault& fault, std::string_view request_id);

// Where a key may stand.
enum class KeyField {
  bearer,             // Authorization: Bearer KEY
  bearer_or_api_key,  // or X-API-Key: KEY
};

// How one API tells of faults, names the request's id and carries keys.
struct Dialect {
  FaultRenderer render_fault = nullptr;
  std::string_view id_header = {};  // besides x-request-id; empty: none
  KeyField key_field = KeyField::bearer;
};

}  // namespace mlxs
