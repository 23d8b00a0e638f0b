// The HTTP server: an OpenAI-compatible door of one engine. It translates between JSON and Request
// or Event and does nothing else; it installs no signal handlers.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "mlx_serving/engine.h"
#include "server/server_options.h"

namespace mlxs {

// Thread safety: all members may be called from any thread but the server's own.
class Server {
 public:
  // REQUIRES: `engine` outlives the server.
  // ERRORS: invalid_config for options that contradict each other.
  Server(Engine& engine, ServerOptions options);
  ~Server();  // stop()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds the address and answers from then on, on threads of its own. REQUIRES: it was not called
  // before. ERRORS: io_error for an address that is taken or cannot be bound; invalid_config for
  // one that other machines reach
  //   without an api_key.
  void start();

  // REQUIRES: start() has returned.
  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::string url() const;  // "http://127.0.0.1:8080"

  // Waits until stop() is called. REQUIRES: start() has returned.
  void run();

  // Refuses new work with 503 and waits until running requests are answered or `timeout` is over;
  // the engine then ends the rest with shutting_down. /health and /ready are still answered.
  // RETURNS: the number of requests cut off.
  int drain(std::chrono::milliseconds timeout);

  // Closes every connection, which cancels what still runs, and joins the threads. A second call
  // does nothing.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlxs
