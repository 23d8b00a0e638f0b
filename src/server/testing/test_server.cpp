// POSIX sockets, so that the client shares no code with the server.
#include "server/testing/test_server.h"

#include <asm-generic/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/null_sink.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "engine/testing/fake_engine.h"
#include "mlx_serving/engine.h"
#include "server/server_options.h"

namespace mlxs {
namespace {

constexpr int kTimeoutSeconds = 10;

void set_timeout(int socket, std::chrono::milliseconds timeout) {
  timeval value{};
  value.tv_sec = timeout.count() / 1000;
  value.tv_usec = static_cast<suseconds_t>(timeout.count() % 1000) * 1000;
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value);
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

std::string TestResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

json::value TestResponse::json_body() const { return parse_json(body); }

TestClient::TestClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  set_timeout(socket_, std::chrono::seconds(kTimeoutSeconds));
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("the test client cannot connect");
  }
}

TestClient::~TestClient() { close(); }

void TestClient::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void TestClient::reset() {
  const linger hard{1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close();
}

void TestClient::set_receive_buffer(int num_bytes) {
  setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &num_bytes, sizeof num_bytes);
}

bool TestClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t num_sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (num_sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(num_sent));
  }
  return true;
}

bool TestClient::read_some() {
  char buffer[16384];
  const ssize_t num_read = ::recv(socket_, buffer, sizeof buffer, 0);
  if (num_read <= 0) return false;
  input_.append(buffer, static_cast<std::size_t>(num_read));
  return true;
}

std::optional<std::string> TestClient::read_line() {
  std::size_t end = 0;
  while ((end = input_.find("\r\n")) == std::string::npos) {
    if (!read_some()) return std::nullopt;
  }
  std::string line = input_.substr(0, end);
  input_.erase(0, end + 2);
  return line;
}

bool TestClient::read_exactly(std::size_t num_bytes, std::string& out) {
  while (input_.size() < num_bytes) {
    if (!read_some()) return false;
  }
  out.append(input_, 0, num_bytes);
  input_.erase(0, num_bytes);
  return true;
}

bool TestClient::read_chunks(std::string& out) {
  while (true) {
    const auto size = read_line();
    if (!size) return false;
    const std::size_t num_bytes = std::stoul(*size, nullptr, 16);
    if (num_bytes > 0 && !read_exactly(num_bytes, out)) return false;
    const auto end = read_line();
    if (!end || !end->empty()) return false;
    if (num_bytes == 0) return true;
  }
}

std::optional<TestResponse> TestClient::receive(std::string_view method) {
  TestResponse response;
  const auto status_line = read_line();
  if (!status_line || status_line->size() < 12 || !status_line->starts_with("HTTP/1."))
    return std::nullopt;
  response.status = std::stoi(status_line->substr(9, 3));
  while (true) {
    const auto line = read_line();
    if (!line) return std::nullopt;
    if (line->empty()) break;
    const std::size_t colon = line->find(": ");
    if (colon == std::string::npos) return std::nullopt;
    response.headers.emplace_back(lower(line->substr(0, colon)), line->substr(colon + 2));
  }
  const std::string length = response.header("content-length");
  if (method == "HEAD" || response.status == 204 || response.status < 200) {
    response.is_complete = true;
  } else if (response.header("transfer-encoding") == "chunked") {
    response.is_complete = read_chunks(response.body);
  } else if (!length.empty()) {
    response.is_complete = read_exactly(std::stoul(length), response.body);
  } else {
    while (read_some()) {
    }
    response.body = std::exchange(input_, {});
    response.is_complete = true;
  }
  return response;
}

bool TestClient::receive_until(std::string_view text) {
  while (input_.find(text) == std::string::npos) {
    if (!read_some()) return false;
  }
  return true;
}

bool TestClient::is_closed_within(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  set_timeout(socket_, std::chrono::milliseconds(50));
  while (std::chrono::steady_clock::now() < deadline) {
    char buffer[16384];
    const ssize_t num_read = ::recv(socket_, buffer, sizeof buffer, 0);
    if (num_read == 0) return true;
    if (num_read < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return true;
  }
  return false;
}

ServerOptions TestServer::quick_options() {
  ServerOptions options;
  options.port = 0;
  options.header_timeout = std::chrono::milliseconds(500);
  options.body_timeout = std::chrono::milliseconds(500);
  options.body_total_timeout = std::chrono::milliseconds(20'000);
  options.idle_timeout = std::chrono::milliseconds(5'000);
  options.logger =
      std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::null_sink_mt>());
  return options;
}

TestServer::TestServer(ServerOptions options, const FakeEngineOptions& engine)
    : engine_(make_fake_engine(engine)), server_(*engine_, std::move(options)) {
  server_.start();
}

TestResponse TestServer::ask(std::string_view method, std::string_view path, std::string_view body)
    const {
  TestClient client(port());
  client.send(request_text(method, path, body));
  return client.receive(method).value_or(TestResponse{});
}

bool TestServer::becomes_idle(std::chrono::milliseconds timeout) const {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (std::chrono::steady_clock::now() < deadline) {
    const EngineStats stats = engine_->stats();
    if (stats.num_running == 0 && stats.num_waiting == 0 &&
        stats.num_free_pages + stats.num_cached_pages == stats.num_pages)
      return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

std::string request_text(
    std::string_view method, std::string_view path, std::string_view body, std::string_view headers
) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n{}", method, path, headers);
  if (!body.empty())
    text += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body.size());
  text += "\r\n";
  text += body;
  return text;
}

std::vector<std::string> sse_data(std::string_view body) {
  std::vector<std::string> data;
  while (!body.empty()) {
    const std::size_t end = body.find("\n\n");
    const std::string_view event = body.substr(0, end);
    data.emplace_back(event.starts_with("data: ") ? event.substr(6) : "not a data line");
    if (end == std::string_view::npos) break;
    body.remove_prefix(end + 2);
  }
  return data;
}

std::vector<std::pair<std::string, json::value>> named_events(std::string_view body) {
  std::vector<std::pair<std::string, json::value>> events;
  while (!body.empty()) {
    const std::size_t end = body.find("\n\n");
    const std::string_view event = body.substr(0, end);
    const std::size_t line_end = event.find("\ndata: ");
    if (!event.starts_with("event: ") || line_end == std::string_view::npos) {
      events.emplace_back("not a named event", nullptr);
      break;
    }
    events.emplace_back(event.substr(7, line_end - 7), parse_json(event.substr(line_end + 7)));
    if (end == std::string_view::npos) break;
    body.remove_prefix(end + 2);
  }
  return events;
}

std::string fake_greedy_text(std::vector<std::int32_t> prompt, int num_tokens) {
  std::string text;
  for (int i = 0; i < num_tokens; ++i) {
    prompt.push_back(FakeRunner::next_token(prompt, 0));
    text.push_back(static_cast<char>(prompt.back()));
  }
  return text;
}

}  // namespace mlxs
