// One connection of the load generator: sends a request, follows the answer's bytes, and counts.
// It never blocks.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mlxs::bench {

using Clock = std::chrono::steady_clock;

enum class ClientKind {
  reader,   // reads as fast as it can
  idle,     // opens a connection and sends nothing
  stalled,  // sends a request and reads nothing
  slow,     // reads a byte a second
};

// How one request ended.
enum class Outcome {
  open,         // it has not
  complete,     // a stream up to its [DONE]
  limited,      // 429
  unavailable,  // 503
  other_status,
  cut,           // the connection ended within the answer, or before it
  without_done,  // a stream that ended well but lacks its [DONE]
  empty,         // 200 without an event
};

struct LoadCounts {
  std::array<std::int64_t, 8> outcomes{};  // by Outcome
  std::int64_t num_tokens = 0;             // as the usage of complete streams tells
  std::int64_t num_events = 0;
  std::int64_t num_bytes = 0;
  std::int64_t num_without_retry_after = 0;  // of 429 and 503
  std::int64_t num_idle_lost = 0;
  std::vector<double> first_event_ms;
  std::vector<double> total_ms;     // of complete streams
  std::vector<double> cut_after_s;  // of stalled and slow clients: seconds until the server left

  std::int64_t& of(Outcome outcome) { return outcomes.at(static_cast<std::size_t>(outcome)); }
};

class LoadClient {
 public:
  // Connects to the loopback. ERRORS: std::system_error.
  LoadClient(std::uint16_t port, ClientKind kind);
  ~LoadClient();
  LoadClient(const LoadClient&) = delete;
  LoadClient& operator=(const LoadClient&) = delete;

  [[nodiscard]] int descriptor() const { return socket_; }
  [[nodiscard]] ClientKind kind() const { return kind_; }
  [[nodiscard]] bool is_open() const { return socket_ >= 0; }

  // REQUIRES: no answer is outstanding.
  void send(std::string_view request);

  // Takes what has arrived. RETURNS: whether the answer, or the connection, ended.
  bool read(LoadCounts& counts);

  // A byte of a slow client's. RETURNS: as read().
  bool read_byte(LoadCounts& counts);

  void close();

 private:
  void take(std::string_view bytes, LoadCounts& counts);
  void take_head(LoadCounts& counts);
  void take_body(std::string_view bytes, LoadCounts& counts);
  void end(Outcome outcome, LoadCounts& counts);
  void lose(LoadCounts& counts);

  int socket_ = -1;
  ClientKind kind_;
  bool is_waiting_ = false;  // a request is out
  Clock::time_point sent_at_;
  int status_ = 0;  // 0: the head is not complete
  std::string head_;
  std::string tail_;                // the last bytes of the body, where a mark may be cut
  std::int64_t num_body_left_ = 0;  // of an answer at once
  std::int64_t num_events_ = 0;
  std::int64_t num_tokens_ = 0;
  bool has_done_ = false;
};

}  // namespace mlxs::bench
