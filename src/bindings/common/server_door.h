// The HTTP server of an engine that a package has open, in the package's own process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bindings/common/engine_door.h"
#include "mlx_serving/engine.h"
#include "server/server.h"

namespace mlxs {

// Thread safety: all members may be called from any thread.
class ServerDoor {
 public:
  // Answers once it returns. `options_json` is an object with settings of the group server; the
  // port is a free one unless it names one. The engine lives at least as long as the server.
  // ERRORS: invalid_config; io_error for an address that is taken.
  [[nodiscard]] static std::unique_ptr<ServerDoor> start(
      const EngineDoor& door, std::string_view options_json
  );

  [[nodiscard]] std::string url() const;
  [[nodiscard]] std::uint16_t port() const;

  // Closes the connections, which cancels what they run; the engine goes on. A second call does
  // nothing.
  void stop();

  ~ServerDoor();  // stop(); in a forked child it only forgets
  ServerDoor(const ServerDoor&) = delete;
  ServerDoor& operator=(const ServerDoor&) = delete;

 private:
  ServerDoor(std::shared_ptr<Engine> engine, ServerOptions options);

  const pid_t process_id_;
  std::shared_ptr<Engine> engine_;  // shared with its door, which may be closed first
  std::unique_ptr<Server> server_;
};

}  // namespace mlxs
