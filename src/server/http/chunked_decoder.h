// Decodes a body in Transfer-Encoding: chunked, as it arrives. Extensions and trailers are bounded
// and dropped: a trailer that could change the head's meaning is never merged into it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mlxs {

class ChunkedDecoder {
 public:
  explicit ChunkedDecoder(std::size_t max_body_bytes) : max_body_bytes_(max_body_bytes) {}

  // Appends what `bytes` holds of the body to `body`. RETURNS: the number of bytes used; all of
  // them until is_done(). ERRORS: HttpError 400 for a malformed chunk, 413 for a body over the
  // limit.
  std::size_t decode(std::string_view bytes, std::string& body);

  [[nodiscard]] bool is_done() const { return state_ == State::done; }

 private:
  enum class State {
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer,
    trailer_lf,
    end_lf,
    done
  };

  void step(char c);
  void step_size(char c);
  void step_trailer(char c);
  void start_chunk(std::size_t num_body_bytes);

  const std::size_t max_body_bytes_;
  State state_ = State::size;
  std::uint64_t chunk_bytes_ = 0;  // left of the current chunk
  int num_digits_ = 0;             // of the current chunk's size
  std::size_t num_dropped_ = 0;    // bytes of extensions of this chunk, or of all trailers
};

}  // namespace mlxs
