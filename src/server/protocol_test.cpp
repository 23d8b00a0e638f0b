// What HTTP itself and the access policy refuse: framing, sizes, slowness, names, keys, methods.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "server/testing/test_server.h"

namespace mlxs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr const char* kBody = R"({"model":"fake","prompt":"hi","max_tokens":2})";
constexpr const char* kPath = "/v1/completions";

json::value error_of(const TestResponse& response) {
  return response.json_body().at_pointer("/error");
}

// Every error of the server must look like this.
void expect_fault(const std::optional<TestResponse>& response, int status, const char* code) {
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, status) << response->body;
  EXPECT_EQ(response->header("content-type"), "application/json");
  EXPECT_FALSE(response->header("x-request-id").empty());
  const json::value error = error_of(*response);
  EXPECT_EQ(error.as_object().size(), 4U);
  EXPECT_FALSE(error.at("message").as_string().empty());
  EXPECT_TRUE(error.at("type").is_string());
  if (code == nullptr) {
    EXPECT_TRUE(error.at("code").is_null()) << response->body;
  } else {
    EXPECT_EQ(error.at("code"), code);
  }
}

std::optional<TestResponse> talk(const TestServer& server, const std::string& bytes) {
  TestClient client(server.port());
  client.send(bytes);
  return client.receive();
}

TEST(Protocol, SmugglingIsRefusedAndClosed) {
  TestServer server;
  const std::string post = std::string("POST ") + kPath + " HTTP/1.1\r\nHost: localhost\r\n";
  const std::string get = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n";
  const std::vector<std::string> cases = {
      post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
      post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
      post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
      post + "Content-Length: 5, 5\r\n\r\nabcde",
      post + "Content-Length: +5\r\n\r\nabcde",
      post + "Content-Length: -5\r\n\r\nabcde",
      post + "Content-Length: 0x5\r\n\r\nabcde",
      post + "Content-Length: 5 5\r\n\r\nabcde",
      post + "Content-Length:\r\n\r\n",
      post + "Content-Length: 99999999999999999999999\r\n\r\n",
      post + "Content-Length : 5\r\n\r\nabcde",
      post + " Content-Length: 5\r\n\r\nabcde",
      post + "X-A: b\r\n folded: c\r\n\r\n",
      post + "X-A: b\r\n\tfolded: c\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
      "POST " + std::string(kPath) + " HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "GET /v1/models HTTP/1.1\nHost: localhost\n\n",
      "GET /v1/models HTTP/1.1\r\nHost: localhost\n\r\n",
      "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
      "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX: a" + std::string(1, '\0') + "b\r\n\r\n",
      "\r\nGET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
      " GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET  /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET /v1/models  HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET /v1/mod els HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET /v1/models\r\nHost: localhost\r\n\r\n",
      "GET /v1/models HTTP/1.1\r\n\r\n",
      get + "Host: localhost\r\n\r\n",
      get + "no colon\r\n\r\n",
      get + ": no name\r\n\r\n",
      get + "b@d(name): x\r\n\r\n",
      "GET http://localhost/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET /v1/models#x HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET /v1/models HTTP/1.1\r\nHost: local host\r\n\r\n",
      "GET /v1/models HTTP/1.1\r\nHost: evil/?\r\n\r\n",
      "GET /v1/models HTTP/1.1\r\nHost: localhost:99999999\r\n\r\n",
      "GET /v1/models HTTP/1.1\r\nHost: [::1\r\n\r\n",
      "\x16\x03\x01\x02\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\n2\nhi\n0\n\n",
      post + "Transfer-Encoding: chunked\r\n\r\n2\r\nhixx",
      post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\n2;" + std::string(300, 'e') + "\r\nhi\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + std::string(9000, 't') + ": x\r\n\r\n",
  };
  for (const std::string& bytes : cases) {
    SCOPED_TRACE(bytes.substr(0, 160));
    TestClient client(server.port());
    client.send(bytes + get + "\r\n");  // must not be answered as a request of its own
    expect_fault(client.receive(), 400, nullptr);
    EXPECT_FALSE(client.receive());
    EXPECT_TRUE(client.is_closed_within(seconds(4)));
  }
  EXPECT_EQ(server.post(kPath, kBody).status, 200);
}

TEST(Protocol, OtherRefusalsOfTheHead) {
  TestServer server;
  const std::string host = "Host: localhost\r\n";
  expect_fault(
      talk(
          server,
          "POST /v1/completions HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n"
      ),
      501,
      nullptr
  );
  expect_fault(talk(server, "GET /v1/models HTTP/2.0\r\n" + host + "\r\n"), 505, nullptr);
  expect_fault(talk(server, request_text("POST", kPath, kBody, "Expect: tea\r\n")), 417, nullptr);
  expect_fault(
      talk(server, request_text("POST", kPath, kBody, "Content-Encoding: gzip\r\n")), 415, nullptr
  );
}

// curl and urllib say that a body is a form unless told otherwise; every body here is JSON.
TEST(Protocol, TheContentTypeDoesNotMatter) {
  TestServer server;
  const std::string form = "Content-Type: application/x-www-form-urlencoded\r\n";
  const auto response = talk(server, request_text("POST", kPath, kBody, form));
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
}

TEST(Protocol, ChunkedBodies) {
  TestServer server;
  const std::string head =
      "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string bytes = head;
  for (const char* c = kBody; *c != '\0'; ++c) bytes += fmt::format("1;ext=\"v\"\r\n{}\r\n", *c);
  bytes += "0\r\nX-Trailer: ignored\r\n\r\n";
  TestClient client(server.port());
  for (const char c : bytes) ASSERT_TRUE(client.send(std::string(1, c)));
  auto response = client.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200) << response->body;
  client.send(bytes);  // the connection is in step
  response = client.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200) << response->body;
}

TEST(Protocol, MillionOneByteChunks) {
  TestServer server;
  for (const char* path : {"/v1/completions", "/v1/chat/completions"}) {
    std::string bytes = fmt::format(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", path
    );
    for (int i = 0; i < 1'000'000; ++i) bytes += "1\r\nx\r\n";
    bytes += "0\r\n\r\n";
    expect_fault(talk(server, bytes), 400, nullptr);
  }
}

TEST(Protocol, DeepJson) {
  TestServer server;
  for (const char* path : {"/v1/completions", "/v1/chat/completions"}) {
    expect_fault(talk(server, request_text("POST", path, std::string(150'000, '['))), 400, nullptr);
    expect_fault(
        talk(
            server,
            request_text("POST", path, R"({"model":"fake","prompt":)" + std::string(150'000, '['))
        ),
        400,
        nullptr
    );
  }
}

TEST(Protocol, SizesAreLimitedBeforeTheWork) {
  ServerOptions options = TestServer::quick_options();
  options.max_body_bytes = 1000;
  TestServer server(options);
  const std::string long_header = "X-Long: " + std::string(17'000, 'a') + "\r\n";
  expect_fault(
      talk(server, request_text("GET", "/v1/models", "", long_header)), 431, "request_too_large"
  );
  expect_fault(talk(server, std::string(17'000, 'a')), 431, "request_too_large");
  expect_fault(
      talk(server, request_text("POST", kPath, std::string(1001, ' '))), 413, "request_too_large"
  );
  expect_fault(
      talk(
          server,
          "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
          "9223372036854775807\r\n\r\n"
      ),
      413,
      "request_too_large"
  );
  const std::string chunked =
      "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  expect_fault(talk(server, chunked + "3e9\r\n"), 413, "request_too_large");
  expect_fault(talk(server, chunked + "fffffffffffffff\r\n"), 413, "request_too_large");
  expect_fault(
      talk(server, chunked + "3e8\r\n" + std::string(1000, ' ') + "\r\n1\r\n"),
      413,
      "request_too_large"
  );
  expect_fault(talk(server, request_text("POST", kPath, std::string(1000, ' '))), 400, nullptr);
}

TEST(Protocol, SlowClientsAreToldAndClosed) {
  TestServer server;
  const Clock::time_point start = Clock::now();
  {
    TestClient client(server.port());
    client.send("GET /v1/models HTTP/1.1\r\nHost:");
    expect_fault(client.receive(), 408, "request_timeout");
    EXPECT_TRUE(client.is_closed_within(seconds(4)));
  }
  {
    TestClient client(server.port());  // a byte now and then does not help
    bool is_open = true;
    for (int i = 0; i < 40 && is_open; ++i) {
      is_open = client.send("X");
      std::this_thread::sleep_for(milliseconds(50));
    }
    expect_fault(client.receive(), 408, "request_timeout");
  }
  {
    TestClient client(server.port());
    client.send("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
    expect_fault(client.receive(), 408, "request_timeout");
  }
  EXPECT_LT(Clock::now() - start, seconds(9));
}

TEST(Protocol, SlowBodiesHaveATotalLimit) {
  ServerOptions options = TestServer::quick_options();
  options.body_total_timeout = milliseconds(600);
  TestServer server(options);
  TestClient client(server.port());
  client.send("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n");
  for (int i = 0; i < 20; ++i) {
    client.send(" ");
    std::this_thread::sleep_for(milliseconds(50));
  }
  expect_fault(client.receive(), 408, "request_timeout");
}

TEST(Protocol, IdleConnectionsAreClosedSilently) {
  ServerOptions options = TestServer::quick_options();
  options.idle_timeout = milliseconds(200);
  TestServer server(options);
  TestClient client(server.port());
  EXPECT_TRUE(client.is_closed_within(seconds(4)));
}

TEST(Protocol, TooManyConnectionsAreToldSo) {
  ServerOptions options = TestServer::quick_options();
  options.max_connections = 2;
  TestServer server(options);
  TestClient first(server.port());
  TestClient second(server.port());
  first.send(request_text("GET", "/health"));
  EXPECT_EQ(first.receive()->status, 200);
  second.send(request_text("GET", "/health"));
  EXPECT_EQ(second.receive()->status, 200);
  TestClient third(server.port());
  third.send(request_text("GET", "/health"));
  const auto response = third.receive();
  expect_fault(response, 503, "server_is_overloaded");
  EXPECT_FALSE(response->header("retry-after").empty());
  first.close();
  const Clock::time_point deadline = Clock::now() + seconds(5);
  int status = 0;
  while (status != 200 && Clock::now() < deadline) status = server.ask("GET", "/health").status;
  EXPECT_EQ(status, 200);
}

TEST(Protocol, ExpectContinue) {
  TestServer server;
  TestClient client(server.port());
  const std::string request = request_text("POST", kPath, kBody, "Expect: 100-continue\r\n");
  const std::size_t head_bytes = request.find("\r\n\r\n") + 4;
  client.send(std::string_view(request).substr(0, head_bytes));
  EXPECT_EQ(client.receive()->status, 100);
  client.send(std::string_view(request).substr(head_bytes));
  EXPECT_EQ(client.receive()->status, 200);
  TestClient refused(server.port());  // no invitation to send what will not be read
  refused.send(
      "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: "
      "5\r\n\r\n"
  );
  expect_fault(refused.receive(), 404, nullptr);
}

TEST(Protocol, MethodsAndRoutes) {
  TestServer server;
  for (const char* path :
       {"/v1",
        "/v1/",
        "/v1/models/",
        "//v1/models",
        "/v1//models",
        "/V1/models",
        "/v1/models%2e",
        "/v1/./models",
        "/v1/chat/completions/"}) {
    expect_fault(talk(server, request_text("GET", path)), 404, nullptr);
  }
  const TestResponse wrong = server.ask("GET", "/v1/chat/completions");
  expect_fault(wrong, 405, nullptr);
  EXPECT_EQ(wrong.header("allow"), "POST, OPTIONS");
  const TestResponse deleted = server.ask("DELETE", "/v1/models");
  expect_fault(deleted, 405, nullptr);
  EXPECT_EQ(deleted.header("allow"), "GET, HEAD, OPTIONS");
  expect_fault(server.ask("BREW", "/health"), 405, nullptr);
  const TestResponse head = server.ask("HEAD", "/v1/models");
  EXPECT_EQ(head.status, 200);
  EXPECT_NE(head.header("content-length"), "0");
  EXPECT_EQ(server.ask("HEAD", "/v1/chat/completions").status, 405);
  const TestResponse options = server.ask("OPTIONS", "/v1/models");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.header("allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(server.ask("OPTIONS", "*").status, 204);
  EXPECT_EQ(server.ask("GET", "/v1/models?limit=3").status, 200);
}

TEST(Protocol, HostAndOriginOnLoopback) {
  ServerOptions options = TestServer::quick_options();
  options.allowed_hosts = {"Good.Example"};
  TestServer server(options);
  const auto status_of = [&](const std::string& headers) {
    TestClient client(server.port());
    client.send("GET /v1/models HTTP/1.1\r\n" + headers + "\r\n");
    const auto response = client.receive();
    if (response && response->status == 403) expect_fault(response, 403, "forbidden_origin");
    return response ? response->status : 0;
  };
  for (const char* host :
       {"localhost",
        "LOCALHOST",
        "localhost:8080",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.1.2.3",
        "[::1]",
        "[::1]:80",
        "good.example"}) {
    EXPECT_EQ(status_of(fmt::format("Host: {}\r\n", host)), 200) << host;
    EXPECT_EQ(status_of(fmt::format("Host: localhost\r\nOrigin: http://{}\r\n", host)), 200)
        << host;
  }
  for (const char* host :
       {"evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "0.0.0.0",
        "[::]",
        "192.168.1.1",
        "10.0.0.1:8080",
        "xlocalhost",
        "localhost.",
        "169.254.169.254"}) {
    EXPECT_EQ(status_of(fmt::format("Host: {}\r\n", host)), 403) << host;
    EXPECT_EQ(status_of(fmt::format("Host: localhost\r\nOrigin: https://{}\r\n", host)), 403)
        << host;
  }
  for (const char* origin :
       {"null",
        "",
        "file://",
        "evil",
        "http://",
        "http://localhost@evil.example",
        "http://localhost/path",
        "http://a b"}) {
    EXPECT_EQ(status_of(fmt::format("Host: localhost\r\nOrigin: {}\r\n", origin)), 403) << origin;
  }
}

TEST(Protocol, HostIsNotRequiredOfHttp10) {
  TestServer server;
  const auto response = talk(server, "GET /v1/models HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->header("connection"), "close");
}

TEST(Protocol, KeysGuardEveryRouteButTheProbes) {
  ServerOptions options = TestServer::quick_options();
  options.api_key = "secret-key";
  TestServer server(options);
  struct RouteCase {
    const char* method;
    const char* path;
  };
  const std::vector<RouteCase> guarded = {
      {"GET", "/v1/models"},
      {"HEAD", "/v1/models"},
      {"GET", "/v1/models/fake"},
      {"POST", kPath},
      {"POST", "/v1/chat/completions"},
      {"OPTIONS", "/v1/models"},
      {"DELETE", "/v1/models"},
      {"GET", "/nowhere"},
      {"GET", "//v1/models"},
      {"GET", "/v1/%6dodels"},
      {"GET", "/health/"},
      {"POST", "/health"},
      {"GET", "/health%2f"},
      {"GET", "/ready/../v1/models"},
  };
  const std::vector<std::string> bad = {
      "",
      "Authorization: Bearer\r\n",
      "Authorization: Bearer \r\n",
      "Authorization: Bearer wrong-key1\r\n",
      "Authorization: Bearer secret-ke\r\n",
      "Authorization: Bearer secret-key1\r\n",
      "Authorization: secret-key\r\n",
      "Authorization: Basic secret-key\r\n",
      "X-Api-Key: secret-key\r\n",
      "Api-Key: secret-key\r\n",
      "Proxy-Authorization: Bearer secret-key\r\n",
  };
  for (const RouteCase& route : guarded) {
    for (const std::string& header : bad) {
      SCOPED_TRACE(fmt::format("{} {} {}", route.method, route.path, header));
      TestClient client(server.port());
      client.send(request_text(route.method, route.path, "", header));
      const auto response = client.receive(route.method);
      ASSERT_TRUE(response);
      EXPECT_EQ(response->status, 401);
      EXPECT_EQ(response->header("www-authenticate"), "Bearer");
      if (std::string_view(route.method) != "HEAD") expect_fault(response, 401, "invalid_api_key");
    }
  }
  for (const char* target : {"http://localhost/v1/models", "http://localhost/health", "*"}) {
    TestClient client(server.port());
    client.send(request_text("GET", target));
    EXPECT_EQ(client.receive()->status, 400) << target;
  }
  EXPECT_EQ(talk(server, "GET /v1/models HTTP/1.0\r\n\r\n")->status, 401);
  EXPECT_EQ(server.ask("GET", "/health").status, 200);
  EXPECT_EQ(server.ask("GET", "/ready").status, 200);
  for (const char* scheme : {"Bearer", "bearer", "BEARER"}) {
    TestClient client(server.port());
    client.send(request_text(
        "GET", "/v1/models", "", fmt::format("Authorization: {} secret-key\r\n", scheme)
    ));
    EXPECT_EQ(client.receive()->status, 200);
  }
  TestClient twice(server.port());
  twice.send(request_text(
      "GET", "/v1/models", "", "Authorization: Bearer secret-key\r\nAuthorization: Bearer x\r\n"
  ));
  EXPECT_EQ(twice.receive()->status, 400);
}

TEST(Protocol, OpenAddressesNeedAKey) {
  const auto engine = make_fake_engine();
  ServerOptions options = TestServer::quick_options();
  options.host = "0.0.0.0";
  {
    Server server(*engine, options);
    try {
      server.start();
      FAIL() << "started";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_config);
    }
  }
  options.api_key = "k";
  Server with_key(*engine, options);
  with_key.start();
  options.api_key.clear();
  options.allow_insecure_bind = true;
  Server insecure(*engine, options);
  insecure.start();
  TestClient client(insecure.port());
  client.send("GET /v1/models HTTP/1.1\r\nHost: any.example\r\n\r\n");
  EXPECT_EQ(client.receive()->status, 200);
}

TEST(Protocol, TakenPortsAndBadAddressesAreNamed) {
  TestServer first;
  const auto engine = make_fake_engine();
  const auto message_of = [&](const ServerOptions& options) {
    try {
      Server server(*engine, options);
      server.start();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::io_error);
      return std::string(error.what());
    }
    return std::string("started");
  };
  ServerOptions options = TestServer::quick_options();
  options.port = first.port();
  EXPECT_NE(
      message_of(options).find(fmt::format("port {} on 127.0.0.1 is in use", first.port())),
      std::string::npos
  );
  options.host = "999.999.999.999";
  EXPECT_NE(message_of(options).find("999.999.999.999"), std::string::npos);
}

TEST(Protocol, ContradictingOptionsAreRefused) {
  const auto engine = make_fake_engine();
  for (int i = 0; i < 4; ++i) {
    ServerOptions options = TestServer::quick_options();
    if (i == 0) options.num_threads = 0;
    if (i == 1) options.max_connections = 0;
    if (i == 2) options.max_header_bytes = 10;
    if (i == 3) options.api_key = "with blank";
    EXPECT_THROW(Server(*engine, options), Error) << i;
  }
}

}  // namespace
}  // namespace mlxs
