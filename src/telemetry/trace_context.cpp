// A future version may append fields, so more after the flags is refused for version 00 only.
#include "telemetry/trace_context.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>

namespace mlxs {
namespace {

constexpr std::size_t kLength = 55;  // "00-" 32 "-" 16 "-" 2
constexpr unsigned kSampledFlag = 1;

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// RETURNS: false where `text` is not exactly the digits of `bytes`.
bool read_hex(std::string_view text, std::span<std::uint8_t> bytes) {
  if (text.size() != 2 * bytes.size()) return false;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = digit_of(text[2 * i]);
    const int low = digit_of(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

bool is_zero(std::span<const std::uint8_t> bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

template <typename Id>
Id random_id() {
  std::random_device device;
  std::uniform_int_distribution<int> byte(0, 255);
  Id id = {};
  while (is_zero(id))
    std::ranges::generate(id, [&] { return static_cast<std::uint8_t>(byte(device)); });
  return id;
}

}  // namespace

std::optional<TraceContext> parse_traceparent(std::string_view text) {
  if (text.size() < kLength || text[2] != '-' || text[35] != '-' || text[52] != '-')
    return std::nullopt;
  std::array<std::uint8_t, 1> version = {};
  std::array<std::uint8_t, 1> flags = {};
  TraceContext context;
  const bool is_hex =
      read_hex(text.substr(0, 2), version) && read_hex(text.substr(3, 32), context.trace) &&
      read_hex(text.substr(36, 16), context.parent) && read_hex(text.substr(53, 2), flags);
  if (!is_hex || version[0] == 0xff || is_zero(context.trace) || is_zero(context.parent))
    return std::nullopt;
  const bool has_more = text.size() > kLength;
  if (has_more && (version[0] == 0 || text[kLength] != '-')) return std::nullopt;
  context.is_sampled = (flags[0] & kSampledFlag) != 0;
  return context;
}

TraceId make_trace_id() { return random_id<TraceId>(); }
SpanId make_span_id() { return random_id<SpanId>(); }

std::string hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 0xfU];
  }
  return text;
}

}  // namespace mlxs
