// A byte-wise state machine; only the data of a chunk is taken in bulk.
#include "server/http/chunked_decoder.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/http/message.h"

namespace mlxs {
namespace {

// of 16 hexadecimal digits the first could overflow a signed size
constexpr int kMaxSizeDigits = 15;
constexpr std::size_t kMaxExtensionBytes = 256;
constexpr std::size_t kMaxTrailerBytes = 8192;

[[noreturn]] void malformed(const char* problem) {
  throw HttpError(client_fault(400, std::string("malformed chunked body: ") + problem));
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; }

}  // namespace

std::size_t ChunkedDecoder::decode(std::string_view bytes, std::string& body) {
  std::size_t i = 0;
  while (i < bytes.size() && state_ != State::done) {
    if (state_ == State::data) {
      const std::size_t count =
          static_cast<std::size_t>(std::min<std::uint64_t>(chunk_bytes_, bytes.size() - i));
      body.append(bytes.substr(i, count));
      i += count;
      chunk_bytes_ -= count;
      if (chunk_bytes_ == 0) state_ = State::data_cr;
      continue;
    }
    const State before = state_;
    step(bytes[i++]);
    if (before == State::size_lf) start_chunk(body.size());
  }
  return i;
}

void ChunkedDecoder::start_chunk(std::size_t num_body_bytes) {
  if (chunk_bytes_ > max_body_bytes_ - num_body_bytes) {
    throw HttpError(client_fault(
        413,
        "the body is larger than " + std::to_string(max_body_bytes_) + " bytes",
        "request_too_large"
    ));
  }
  num_digits_ = 0;
  num_dropped_ = 0;
  state_ = chunk_bytes_ == 0 ? State::trailer_start : State::data;
}

void ChunkedDecoder::step(char c) {
  switch (state_) {
    case State::size:
    case State::extension:
      return step_size(c);
    case State::size_lf:
      if (c != '\n') malformed("CR without LF");
      return;
    case State::data_cr:
      if (c != '\r') malformed("a chunk is longer than its size");
      state_ = State::data_lf;
      return;
    case State::data_lf:
      if (c != '\n') malformed("CR without LF");
      state_ = State::size;
      return;
    case State::trailer_start:
    case State::trailer:
    case State::trailer_lf:
    case State::end_lf:
      return step_trailer(c);
    case State::data:
    case State::done:
      return;
  }
}

void ChunkedDecoder::step_size(char c) {
  if (c == '\r') {
    if (num_digits_ == 0) malformed("a chunk without a size");
    state_ = State::size_lf;
    return;
  }
  if (state_ == State::extension) {
    if (is_control(c)) malformed("a control character in an extension");
    if (++num_dropped_ > kMaxExtensionBytes) malformed("an extension is too long");
    return;
  }
  if (c == ';' && num_digits_ > 0) {
    state_ = State::extension;
    return;
  }
  const int digit = hex_value(c);
  if (digit < 0) malformed("a size that is not hexadecimal");
  if (++num_digits_ > kMaxSizeDigits) malformed("a size with too many digits");
  chunk_bytes_ = num_digits_ == 1 ? 0 : chunk_bytes_;
  chunk_bytes_ = chunk_bytes_ * 16 + static_cast<std::uint64_t>(digit);
}

void ChunkedDecoder::step_trailer(char c) {
  if (++num_dropped_ > kMaxTrailerBytes) malformed("the trailers are too long");
  switch (state_) {
    case State::trailer_start:
      state_ = c == '\r' ? State::end_lf : State::trailer;
      if (state_ == State::trailer && (is_control(c) || c == ' ' || c == '\t'))
        malformed("a trailer that is not a field");
      return;
    case State::trailer:
      if (c == '\r')
        state_ = State::trailer_lf;
      else if (is_control(c))
        malformed("a control character in a trailer");
      return;
    case State::trailer_lf:
      if (c != '\n') malformed("CR without LF");
      state_ = State::trailer_start;
      return;
    default:
      if (c != '\n') malformed("CR without LF");
      state_ = State::done;
      return;
  }
}

}  // namespace mlxs
