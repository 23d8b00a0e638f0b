// A kept request as JSON.
#pragma once

#include "base/json.h"
#include "server/inspect/request_log.h"

namespace mlxs {

[[nodiscard]] json::object timeline_object(const RequestRecord& record);

}  // namespace mlxs
