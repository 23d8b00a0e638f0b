// RFC 6455, section 5.2, without fragments.
#include "server/testing/web_socket_client.h"

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

constexpr unsigned char kMask[4] = {0x12, 0x34, 0x56, 0x78};

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = (value << 8U) | static_cast<unsigned char>(c);
  return value;
}

void add_big_endian(std::string& out, std::uint64_t value, int num_bytes) {
  for (int i = num_bytes - 1; i >= 0; --i)
    out.push_back(static_cast<char>((value >> (8U * static_cast<unsigned>(i))) & 0xFFU));
}

}  // namespace

WebSocketClient::WebSocketClient(std::uint16_t port, std::string_view headers) : client_(port) {
  client_.send(fmt::format(
      "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n",
      headers
  ));
  handshake_ = client_.receive("GET").value_or(TestResponse{});
}

void WebSocketClient::send_frame(int opcode, std::string_view payload) {
  std::string frame;
  frame.push_back(static_cast<char>(0x80 | opcode));
  if (payload.size() < 126) {
    frame.push_back(static_cast<char>(0x80U | payload.size()));
  } else if (payload.size() < 65536) {
    frame.push_back(static_cast<char>(0x80U | 126U));
    add_big_endian(frame, payload.size(), 2);
  } else {
    frame.push_back(static_cast<char>(0x80U | 127U));
    add_big_endian(frame, payload.size(), 8);
  }
  for (const unsigned char byte : kMask) frame.push_back(static_cast<char>(byte));
  for (std::size_t i = 0; i < payload.size(); ++i)
    frame.push_back(static_cast<char>(static_cast<unsigned char>(payload[i]) ^ kMask[i % 4]));
  client_.send(frame);
}

std::optional<WebSocketClient::Frame> WebSocketClient::receive_frame() {
  std::string head;
  if (!client_.read_exactly(2, head)) return std::nullopt;
  Frame frame;
  frame.opcode = head[0] & 0x0F;
  std::uint64_t size = static_cast<unsigned char>(head[1]) & 0x7FU;
  std::string extended;
  if (size == 126 && !client_.read_exactly(2, extended)) return std::nullopt;
  if (size == 127 && !client_.read_exactly(8, extended)) return std::nullopt;
  if (!extended.empty()) size = big_endian(extended);
  if (!client_.read_exactly(static_cast<std::size_t>(size), frame.payload)) return std::nullopt;
  const bool is_last = (head[0] & 0x80) != 0;
  if (is_last) return frame;
  const std::optional<Frame> rest = receive_frame();
  if (!rest) return std::nullopt;
  frame.payload += rest->payload;
  return frame;
}

json::value WebSocketClient::receive() {
  const std::optional<Frame> frame = receive_frame();
  if (!frame || frame->opcode != 1) return nullptr;
  return parse_json(frame->payload);
}

}  // namespace mlxs
