// Marks are searched in the bytes as they are: the server writes JSON without blanks, and chunks
// are whole events.
#include "http/load_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>

namespace mlxs::bench {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kDone = "data: [DONE]";
constexpr std::string_view kLastChunk = "\r\n0\r\n\r\n";
constexpr std::string_view kTokens = "\"completion_tokens\":";
constexpr std::size_t kTailBytes = 64;
constexpr int kSmallBuffer = 4096;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::int64_t number_after(std::string_view text, std::string_view name) {
  const std::size_t at = text.rfind(name);
  if (at == std::string_view::npos) return 0;
  return std::atoll(std::string(text.substr(at + name.size(), 20)).c_str());
}

}  // namespace

LoadClient::LoadClient(std::uint16_t port, ClientKind kind)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), kind_(kind) {
  if (socket_ < 0) fail("socket");
  if (kind == ClientKind::stalled || kind == ClientKind::slow)
    (void)::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &kSmallBuffer, sizeof(kSmallBuffer));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the socket API's own form
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    fail("connect");
}

LoadClient::~LoadClient() { close(); }

void LoadClient::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void LoadClient::send(std::string_view request) {
  is_waiting_ = true;
  sent_at_ = Clock::now();
  status_ = 0;
  head_.clear();
  tail_.clear();
  num_events_ = 0;
  num_tokens_ = 0;
  has_done_ = false;
  // Requests are far smaller than a socket's buffer. One that the server has closed shows at the
  // next read.
  (void)::send(socket_, request.data(), request.size(), MSG_NOSIGNAL);
}

bool LoadClient::read(LoadCounts& counts) {
  std::array<char, std::size_t{64} << 10> buffer;
  const ssize_t num_bytes = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (num_bytes < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (num_bytes <= 0) {
    lose(counts);
    return true;
  }
  take({buffer.data(), static_cast<std::size_t>(num_bytes)}, counts);
  return !is_waiting_;
}

bool LoadClient::read_byte(LoadCounts& counts) {
  char byte = 0;
  const ssize_t num_bytes = ::recv(socket_, &byte, 1, MSG_DONTWAIT);
  if (num_bytes > 0 || (num_bytes < 0 && errno == EAGAIN)) return false;
  lose(counts);
  return true;
}

void LoadClient::lose(LoadCounts& counts) {
  if (kind_ == ClientKind::idle) ++counts.num_idle_lost;
  if (kind_ == ClientKind::stalled || kind_ == ClientKind::slow)
    counts.cut_after_s.push_back(ms_since(sent_at_) / 1000.0);
  if (is_waiting_ && kind_ == ClientKind::reader) end(Outcome::cut, counts);
  close();
}

void LoadClient::take(std::string_view bytes, LoadCounts& counts) {
  counts.num_bytes += static_cast<std::int64_t>(bytes.size());
  if (status_ != 0) {
    take_body(bytes, counts);
    return;
  }
  head_ += bytes;
  const std::size_t end_of_head = head_.find(kHeadEnd);
  if (end_of_head == std::string::npos) return;
  const std::string body = head_.substr(end_of_head + kHeadEnd.size());
  head_.resize(end_of_head + 2);
  take_head(counts);
  take_body(body, counts);
}

void LoadClient::take_head(LoadCounts& counts) {
  status_ = std::atoi(head_.substr(9, 3).c_str());
  num_body_left_ = number_after(head_, "Content-Length: ");
  const bool wants_retry = status_ == 429 || status_ == 503;
  if (wants_retry && head_.find("\r\nRetry-After: ") == std::string::npos)
    ++counts.num_without_retry_after;
}

void LoadClient::take_body(std::string_view bytes, LoadCounts& counts) {
  if (status_ != 200) {
    num_body_left_ -= static_cast<std::int64_t>(bytes.size());
    if (num_body_left_ > 0) return;
    const Outcome refused = status_ == 429   ? Outcome::limited
                            : status_ == 503 ? Outcome::unavailable
                                             : Outcome::other_status;
    end(refused, counts);
    return;
  }
  const std::string text = tail_ + std::string(bytes);
  if (num_events_ == 0 && !bytes.empty()) counts.first_event_ms.push_back(ms_since(sent_at_));
  // A line break that follows another ends an event; the first one may be the tail's last byte.
  for (std::size_t at = tail_.empty() ? 1 : tail_.size(); at < text.size(); ++at) {
    at = text.find('\n', at);
    if (at == std::string::npos) break;
    if (text[at - 1] == '\n') ++num_events_;
  }
  if (text.find(kTokens) != std::string::npos) num_tokens_ = number_after(text, kTokens);
  if (text.find(kDone) != std::string::npos) has_done_ = true;
  const bool is_over = text.ends_with(kLastChunk);
  tail_ = text.substr(text.size() - std::min(text.size(), kTailBytes));
  if (!is_over) return;
  end(num_events_ == 0 ? Outcome::empty
      : has_done_      ? Outcome::complete
                       : Outcome::without_done,
      counts);
}

void LoadClient::end(Outcome outcome, LoadCounts& counts) {
  is_waiting_ = false;
  ++counts.of(outcome);
  counts.num_events += num_events_;
  counts.num_tokens += num_tokens_;
  if (outcome == Outcome::complete) counts.total_ms.push_back(ms_since(sent_at_));
}

}  // namespace mlxs::bench
