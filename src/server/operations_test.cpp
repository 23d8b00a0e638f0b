// What operators set: keys from a file, limits of a key, CORS, repeated requests, TLS.
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/logger.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "mlx_serving/error.h"
#include "server/http/key_ring.h"
#include "server/http/reply_memory.h"
#include "server/http/sha256.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

constexpr const char* kPath = "/v1/completions";
constexpr const char* kBody = R"({"model":"fake","prompt":"hello","max_tokens":3})";
constexpr const char* kLong =
    R"({"model":"fake","prompt":"hello","max_tokens":3000,"stream":true})";

json::value at(const json::value& value, const char* pointer) { return value.at_pointer(pointer); }

std::string hex(const Sha256& digest) {
  std::string text;
  for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

std::string key_line(
    const std::string& name, const std::string& key, const std::string& more = {}
) {
  return name + " " + hex(sha256(key)) + " " + more + "\n";
}

// A folder of this test that goes away with its scope.
class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_(
            std::filesystem::temp_directory_path() /
            (std::string("mlxs_operations_") +
             ::testing::UnitTest::GetInstance()->current_test_info()->name())
        ) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directory(path_);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] std::string write(const std::string& name, std::string_view text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

TestResponse ask(
    const TestServer& server, const std::string& headers, const std::string& body = kBody
) {
  TestClient client(server.port());
  client.send(request_text("POST", kPath, body, headers));
  return client.receive().value_or(TestResponse{});
}

std::string bearer(const std::string& key) { return "Authorization: Bearer " + key + "\r\n"; }

FakeEngineOptions slow_engine() {
  FakeEngineOptions engine;
  engine.context_length = 4096;
  engine.runner.step_time = std::chrono::milliseconds(5);
  engine.runner.num_pages = 8192;
  return engine;
}

TEST(Sha256, GivesTheStandardsDigest) {
  const std::string digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(hex(sha256("abc")), digest);
  EXPECT_EQ(parse_sha256(digest), sha256("abc"));
  EXPECT_FALSE(parse_sha256(digest.substr(1)));
  EXPECT_FALSE(parse_sha256("x" + digest.substr(1)));
}

TEST(ApiKeys, LinesAreReadAndRefusedWithTheirNumber) {
  const auto keys = parse_api_keys(
      "# who may ask\n\n" + key_line("alice", "a", "max_open=2 weight=0.5") + key_line("bob", "b"),
      "k"
  );
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0].name, "alice");
  EXPECT_EQ(keys[0].max_open, 2);
  EXPECT_EQ(keys[0].weight, 0.5);
  EXPECT_EQ(keys[1].max_open, 0);
  EXPECT_EQ(keys[1].weight, 0.0);
  for (const std::string& line :
       {std::string("alice\n"),
        std::string("alice nodigest\n"),
        key_line("alice", "a", "max_open=0"),
        key_line("alice", "a", "weight=0"),
        key_line("alice", "a", "weight=nan"),
        key_line("alice", "a", "nonsense=1"),
        key_line("bob", "a")}) {
    try {
      static_cast<void>(parse_api_keys(key_line("bob", "b") + line, "k"));
      ADD_FAILURE() << line;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).substr(0, 4), "k:2:");
    }
  }
}

TEST(ApiKeys, TheFileIsReadAgainAndAWrongOneIsNot) {
  const TemporaryFolder folder;
  const std::string path = folder.write("keys", key_line("alice", "a"));
  const auto logger = std::make_shared<spdlog::logger>("test", spdlog::sinks_init_list{});
  KeyRing ring("own", path, logger);
  EXPECT_TRUE(ring.asks());
  EXPECT_EQ(ring.find("a")->name, "alice");
  EXPECT_EQ(ring.find("own")->name, "default");
  EXPECT_FALSE(ring.find("b"));
  EXPECT_FALSE(ring.find(""));
  // The time of change must differ, whatever the file system's resolution.
  const auto touch = [&](int seconds) {
    std::filesystem::last_write_time(
        path, std::filesystem::file_time_type::clock::now() + std::chrono::seconds(seconds)
    );
  };
  const auto becomes_known = [&](const char* key) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!ring.find(key) && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return ring.find(key).has_value();
  };
  static_cast<void>(folder.write("keys", key_line("bob", "b")));
  touch(10);
  EXPECT_TRUE(becomes_known("b"));
  EXPECT_FALSE(ring.find("a"));
  static_cast<void>(folder.write("keys", "nonsense\n"));
  touch(20);
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  EXPECT_TRUE(ring.find("b"));
  EXPECT_THROW(KeyRing("", folder.file("none"), logger), Error);
}

TEST(ApiKeys, AKeyHasItsOwnLimitAndItsOwnResponses) {
  const TemporaryFolder folder;
  ServerOptions options = TestServer::quick_options();
  options.api_keys =
      folder.write("keys", key_line("alice", "ka", "max_open=1") + key_line("bob", "kb"));
  TestServer server(options, slow_engine());
  EXPECT_EQ(ask(server, "").status, 401);
  EXPECT_EQ(ask(server, bearer("kc")).status, 401);
  TestClient running(server.port());
  running.send(request_text("POST", kPath, kLong, bearer("ka")));
  ASSERT_TRUE(running.receive_until("data: "));
  const TestResponse excess = ask(server, bearer("ka"));
  EXPECT_EQ(excess.status, 429);
  EXPECT_EQ(excess.header("retry-after"), "1");
  EXPECT_EQ(at(excess.json_body(), "/error/code"), "rate_limit_exceeded");
  EXPECT_EQ(ask(server, bearer("kb")).status, 200);
  running.close();
  ASSERT_TRUE(server.becomes_idle(std::chrono::seconds(10)));
  const auto send =
      [&](const char* method, const std::string& path, const char* key, const char* body) {
        TestClient client(server.port());
        client.send(request_text(method, path, body, bearer(key)));
        return client.receive(method).value_or(TestResponse{});
      };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  TestResponse mine;
  do {
    mine = send(
        "POST", "/v1/responses", "ka", R"({"model":"fake","input":"x","max_output_tokens":1})"
    );
  } while (mine.status == 429 && std::chrono::steady_clock::now() < deadline);
  ASSERT_EQ(mine.status, 200) << mine.body;
  const std::string path = "/v1/responses/" + std::string(at(mine.json_body(), "/id").as_string());
  EXPECT_EQ(send("GET", path, "ka", "").status, 200);
  EXPECT_EQ(send("GET", path, "kb", "").status, 404);
}

TEST(Cors, OnlyAllowedOriginsMayRead) {
  ServerOptions options = TestServer::quick_options();
  options.api_key = "secret";
  options.cors_origins = {"https://App.example"};
  TestServer server(options);
  const std::string origin = "Origin: https://app.example\r\n";
  const TestResponse response = ask(server, origin + bearer("secret"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header("access-control-allow-origin"), "https://app.example");
  EXPECT_EQ(response.header("vary"), "Origin");
  EXPECT_EQ(ask(server, origin).status, 401);
  EXPECT_EQ(ask(server, origin).header("access-control-allow-origin"), "https://app.example");
  TestClient client(server.port());
  client.send(request_text("OPTIONS", kPath, {}, origin + "Access-Control-Request-Method: POST\r\n")
  );
  const auto preflight = client.receive("OPTIONS");
  ASSERT_TRUE(preflight);
  EXPECT_EQ(preflight->status, 204);
  EXPECT_EQ(preflight->header("access-control-allow-methods"), "GET, POST, DELETE");
  EXPECT_NE(
      preflight->header("access-control-allow-headers").find("Authorization"), std::string::npos
  );
  for (const char* other :
       {"https://app.example.evil", "http://app.example", "https://app.example:444", "null"}) {
    const TestResponse refused =
        ask(server, fmt::format("Origin: {}\r\n", other) + bearer("secret"));
    EXPECT_EQ(refused.status, 403) << other;
    EXPECT_EQ(refused.header("access-control-allow-origin"), "") << other;
  }
}

TEST(Idempotency, ARequestThatIsSentAgainIsAnsweredAgain) {
  TestServer server;
  const std::string key = "Idempotency-Key: k1\r\n";
  const TestResponse first = ask(server, key);
  const TestResponse second = ask(server, key);
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.header("idempotent-replayed"), "");
  EXPECT_EQ(second.header("idempotent-replayed"), "true");
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(server.engine().stats().num_requests_finished, 1U);
  const std::string stream = R"({"model":"fake","prompt":"hello","max_tokens":3,"stream":true})";
  EXPECT_EQ(at(ask(server, key, stream).json_body(), "/error/code"), "idempotency_key_reused");
  const TestResponse streamed = ask(server, "Idempotency-Key: k2\r\n", stream);
  const TestResponse again = ask(server, "Idempotency-Key: k2\r\n", stream);
  EXPECT_EQ(again.body, streamed.body);
  EXPECT_EQ(again.header("content-type"), streamed.header("content-type"));
  const std::string bad = R"({"model":"fake"})";
  EXPECT_EQ(ask(server, "Idempotency-Key: k3\r\n", bad).status, 400);
  EXPECT_EQ(ask(server, "Idempotency-Key: k3\r\n").status, 200);
  EXPECT_EQ(ask(server, "Idempotency-Key: " + std::string(256, 'x') + "\r\n").status, 400);
}

TEST(Idempotency, WhileTheFirstRunsTheSecondWaitsForAnotherTime) {
  TestServer server(TestServer::quick_options(), slow_engine());
  const std::string key = "Idempotency-Key: k\r\n";
  TestClient running(server.port());
  running.send(request_text("POST", kPath, kLong, key));
  ASSERT_TRUE(running.receive_until("data: "));
  const TestResponse second = ask(server, key, kLong);
  EXPECT_EQ(second.status, 409);
  EXPECT_EQ(at(second.json_body(), "/error/code"), "idempotency_key_in_use");
  running.close();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  int status = 422;
  while (status != 200 && std::chrono::steady_clock::now() < deadline)
    status = ask(server, key).status;
  EXPECT_EQ(status, 200);
}

TEST(ReplyMemory, IsBounded) {
  ReplyMemory memory({.max_replies = 2, .max_bytes = 100, .max_reply_bytes = 100});
  const Sha256 request = sha256("r");
  const auto keep = [&](const std::string& name, std::size_t num_bytes) {
    EXPECT_FALSE(memory.claim(name, request)) << name;
    HttpResponse response;
    response.body = std::string(num_bytes, 'x');
    memory.keep(name, response);
  };
  keep("a", 10);
  keep("b", 10);
  keep("c", 10);
  EXPECT_TRUE(memory.claim("b", request));
  EXPECT_FALSE(memory.claim("a", request));
  memory.forget("a");
  keep("d", 95);
  EXPECT_FALSE(memory.claim("c", request));
}

// Certificates of this test are made by OpenSSL itself.
struct Certificate {
  std::string certificate;
  std::string key;
};

std::string pem_text(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

Certificate make_certificate() {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  const std::unique_ptr<BIO, decltype(&BIO_free)> first(BIO_new(BIO_s_mem()), BIO_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> second(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_X509(first.get(), certificate.get());
  PEM_write_bio_PrivateKey(second.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {pem_text(first.get()), pem_text(second.get())};
}

// RETURNS: everything that the server sends back.
std::string talk_tls(std::uint16_t port, const std::string& request) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(
      SSL_CTX_new(TLS_client_method()), SSL_CTX_free
  );
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(
      BIO_new_ssl_connect(context.get()), BIO_free_all
  );
  BIO_set_conn_hostname(bio.get(), ("127.0.0.1:" + std::to_string(port)).c_str());
  std::string received;
  if (BIO_do_connect(bio.get()) <= 0) return received;
  BIO_write(bio.get(), request.data(), static_cast<int>(request.size()));
  char buffer[4096];
  int num_read = 0;
  while ((num_read = BIO_read(bio.get(), buffer, sizeof buffer)) > 0)
    received.append(buffer, static_cast<std::size_t>(num_read));
  return received;
}

TEST(Tls, AnswersUnderTlsAndNotWithoutIt) {
  const TemporaryFolder folder;
  const Certificate made = make_certificate();
  ServerOptions options = TestServer::quick_options();
  options.tls_certificate = folder.write("cert.pem", made.certificate);
  options.tls_key = folder.write("key.pem", made.key);
  TestServer server(options);
  EXPECT_TRUE(server.server().url().starts_with("https://"));
  const std::string stream = R"({"model":"fake","prompt":"hello","max_tokens":3,"stream":true})";
  const std::string reply = talk_tls(
      server.port(),
      request_text("GET", "/v1/models") +
          request_text("POST", kPath, stream, "Connection: close\r\n")
  );
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 200 OK\r\n")) << reply;
  EXPECT_NE(reply.find("data: [DONE]"), std::string::npos);
  TestClient plain(server.port());
  plain.send(request_text("GET", "/health"));
  EXPECT_FALSE(plain.receive("GET"));
}

TEST(Tls, AClientThatLeavesIsNoticed) {
  const TemporaryFolder folder;
  const Certificate made = make_certificate();
  ServerOptions options = TestServer::quick_options();
  options.tls_certificate = folder.write("cert.pem", made.certificate);
  options.tls_key = folder.write("key.pem", made.key);
  TestServer server(options, slow_engine());
  {
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(
        SSL_CTX_new(TLS_client_method()), SSL_CTX_free
    );
    const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(
        BIO_new_ssl_connect(context.get()), BIO_free_all
    );
    BIO_set_conn_hostname(bio.get(), ("127.0.0.1:" + std::to_string(server.port())).c_str());
    ASSERT_GT(BIO_do_connect(bio.get()), 0);
    const std::string request = request_text("POST", kPath, kLong);
    BIO_write(bio.get(), request.data(), static_cast<int>(request.size()));
    char buffer[64];
    ASSERT_GT(BIO_read(bio.get(), buffer, sizeof buffer), 0);
  }
  EXPECT_TRUE(server.becomes_idle(std::chrono::seconds(10)));
}

TEST(Tls, WrongFilesAreRefused) {
  const TemporaryFolder folder;
  const Certificate made = make_certificate();
  const auto refused = [](const ServerOptions& options) {
    try {
      const TestServer server(options);
    } catch (const Error& error) {
      return error.code() == ErrorCode::invalid_config;
    }
    return false;
  };
  ServerOptions options = TestServer::quick_options();
  options.tls_certificate = folder.write("cert.pem", made.certificate);
  EXPECT_TRUE(refused(options));
  options.tls_key = folder.file("none.pem");
  EXPECT_TRUE(refused(options));
  options.tls_key = folder.write("other.pem", make_certificate().key);
  EXPECT_TRUE(refused(options));
}

}  // namespace
}  // namespace mlxs
