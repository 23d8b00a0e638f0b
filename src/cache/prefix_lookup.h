// What looking a prompt up in the prefix cache tells.
#pragma once

#include "mlx_serving/event.h"

namespace mlxs {

using MissReason = CacheMiss;

struct PrefixLookup {
  int cached_tokens = 0;     // what KvCache::start() would return now
  int in_flight_tokens = 0;  // after those: tokens of pages that running sequences have claimed in
                             // KvCache::start() and not computed yet
  MissReason miss = MissReason::none;  // of the first token that is neither cached nor in flight
  int first_differing_token = -1;      // with first_token and diverged; -1 otherwise
};

}  // namespace mlxs
