// A default port of 0 is the one difference to `mlx-serving serve`: two packages in one process do
// not meet on 8080.
#include "bindings/common/server_door.h"

#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/settings.h"
#include "bindings/common/door_options.h"
#include "bindings/common/engine_door.h"
#include "bindings/common/forked.h"
#include "cli/setting_flags.h"
#include "mlx_serving/engine.h"
#include "server/server.h"
#include "server/server_options.h"

namespace mlxs {

std::unique_ptr<ServerDoor> ServerDoor::start(
    const EngineDoor& door, std::string_view options_json
) {
  const DoorOptions options =
      read_door_options(options_json, {.groups = {SettingGroup::server}, .takes_model = false});
  ServerOptions server = server_options(options.settings);
  if (options.settings.source("port") == Settings::Source::default_value) server.port = 0;
  return std::unique_ptr<ServerDoor>(new ServerDoor(door.engine(), std::move(server)));
}

ServerDoor::ServerDoor(std::shared_ptr<Engine> engine, ServerOptions options)
    : process_id_(getpid()),
      engine_(std::move(engine)),
      server_(std::make_unique<Server>(*engine_, std::move(options))) {
  server_->start();
}

ServerDoor::~ServerDoor() {
  if (!is_forked_from(process_id_)) return;
  static_cast<void>(server_.release());
  leak(std::move(engine_));
}

std::string ServerDoor::url() const { return server_->url(); }
std::uint16_t ServerDoor::port() const { return server_->port(); }
void ServerDoor::stop() { server_->stop(); }

}  // namespace mlxs
