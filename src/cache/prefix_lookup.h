// What looking a prompt up in the prefix cache tells.
#pragma once

namespace mlxs {

// Why less than the whole prompt was cached. Says nothing about what other salts hold.
enum class MissReason {
  none,         // all that can match did, or is being computed
  first_token,  // nothing cached under this salt begins like it
  diverged,     // it leaves what is cached at first_differing_token
  evicted,      // the page was cached once and had to make room
  salted,       // it has a salt, and nothing is cached under that
  disabled,     // the prefix cache is off
};

struct PrefixLookup {
  int cached_tokens = 0;     // what KvCache::start() would return now
  int in_flight_tokens = 0;  // after those: tokens of pages that running sequences have claimed in
                             // KvCache::start() and not computed yet
  MissReason miss = MissReason::none;  // of the first token that is neither cached nor in flight
  int first_differing_token = -1;      // with first_token and diverged; -1 otherwise
};

}  // namespace mlxs
