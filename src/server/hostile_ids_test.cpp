// Ids that look like paths name no file, and addresses within a request are never called.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

constexpr const char* kChat = "/v1/chat/completions";

// Some of them are there on any machine, so that a difference in the answer would show.
std::vector<std::string> hostile_ids() {
  std::vector<std::string> ids = {
      "../../etc/passwd",
      "../../etc/nothing",
      "/etc/passwd",
      "/etc/nothing",
      "file:///etc/passwd",
      "..",
      ".",
      "~/.ssh/id_rsa",
      "C:\\Windows\\win.ini",
      "CON",
      "a/../../b",
      "fake/../fake",
      "fake%00.txt",
      "sha256:" + std::string(63, 'a'),
      "sha256:" + std::string(65, 'a'),
      std::string(4096, 'a'),
      "\xF0\x9F\x98\x80",
      "$(id)",
      "`id`",
      "fake;id",
      "fake\\u0000"
  };
  return ids;
}

std::string percent_encoded(const std::string& text) {
  std::string result;
  for (const char letter : text)
    result += fmt::format("%{:02x}", static_cast<unsigned>(static_cast<unsigned char>(letter)));
  return result;
}

TEST(HostileIds, InPathsAreNotFoundWhateverIsOnTheDisk) {
  const TestServer server;
  for (const char* path : {"/v1/models/", "/v1/responses/", "/v1/requests/", "/ui/"}) {
    for (const std::string& id : hostile_ids()) {
      SCOPED_TRACE(path + id);
      const TestResponse answer = server.ask("GET", path + percent_encoded(id));
      EXPECT_TRUE(answer.status == 404 || answer.status == 400) << answer.status;
      EXPECT_EQ(answer.body.find("root:"), std::string::npos);
    }
  }
}

TEST(HostileIds, AsModelsAreUnknownInTheSameWords) {
  const TestServer server;
  const auto answer_for = [&server](const std::string& id) {
    return server.post(
        kChat,
        fmt::format(
            R"({{"model":{},"messages":[{{"role":"user","content":"x"}}]}})", json_quote(id)
        )
    );
  };
  for (const std::string& id : hostile_ids()) {
    const TestResponse answer = answer_for(id);
    EXPECT_EQ(answer.status, 404) << id;
    EXPECT_EQ(answer.json_body().at_pointer("/error/code"), "model_not_found");
  }
  const auto words = [&](const std::string& id) {
    std::string body = answer_for(id).body;
    const std::size_t at = body.find(id);
    return at == std::string::npos ? body : body.erase(at, id.size());
  };
  EXPECT_EQ(words("/etc/passwd"), words("/etc/nothing"));
}

// A socket that a request must not make the server connect to.
class Trap {
 public:
  Trap() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    // NOLINTBEGIN(cppcoreguidelines-pro-type-reinterpret-cast): the socket API's own form
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(socket_, 8), 0);
    EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    // NOLINTEND
    port_ = ntohs(address.sin_port);
  }
  ~Trap() { ::close(socket_); }
  Trap(const Trap&) = delete;
  Trap& operator=(const Trap&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] bool is_sprung() const {
    pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, 50) != 0;
  }

 private:
  int socket_;
  std::uint16_t port_ = 0;
};

TEST(OutboundConnections, NoFieldOfARequestMakesOne) {
  const TestServer server;
  const Trap trap;
  const std::vector<std::string> urls = {
      fmt::format("http://127.0.0.1:{}/x.png", trap.port()),
      fmt::format("http://localhost:{}/x.png", trap.port()),
      fmt::format("http://2130706433:{}/x.png", trap.port()),
      fmt::format("http://0x7f000001:{}/x.png", trap.port()),
      fmt::format("http://[::ffff:127.0.0.1]:{}/x.png", trap.port()),
      fmt::format("http://user@127.0.0.1:{}/x.png", trap.port()),
      fmt::format("ftp://127.0.0.1:{}/x", trap.port()),
      "file:///etc/passwd",
      "http://169.254.169.254/latest/meta-data/"
  };
  const std::vector<std::string> bodies = {
      R"({{"model":"fake","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{}"}}}}]}}]}})",
      R"({{"model":"{0}","messages":[{{"role":"user","content":"x"}}]}})",
      R"({{"model":"fake","messages":[{{"role":"user","content":"x"}}],"tools":[{{"type":"function","function":{{"name":"f","parameters":{{"$ref":"{0}"}}}}}}],"max_tokens":1}})",
      R"({{"model":"fake","messages":[{{"role":"user","content":"x"}}],"response_format":{{"type":"json_schema","json_schema":{{"name":"s","schema":{{"$ref":"{0}"}}}}}}}})",
      R"({{"model":"fake","messages":[{{"role":"user","content":"x"}}],"user":"{0}","max_tokens":1}})",
      R"({{"model":"fake","messages":[{{"role":"user","content":"x"}}],"webhook":"{0}"}})",
  };
  for (const std::string& url : urls) {
    for (const std::string& body : bodies) {
      const TestResponse answer = server.post(kChat, fmt::format(fmt::runtime(body), url));
      EXPECT_TRUE(answer.status == 200 || answer.status == 400 || answer.status == 404)
          << answer.status << " " << body;
    }
  }
  EXPECT_FALSE(trap.is_sprung());
}

}  // namespace
}  // namespace mlxs
