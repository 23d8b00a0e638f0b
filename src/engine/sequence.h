// One request while it runs: its tokens, how far it got, and what the scheduler goes by. Plain
// data; no text, device, clock or thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/page_layout.h"
#include "cache/prefix_lookup.h"
#include "mlx_serving/request.h"
#include "mlx_serving/sampling.h"
#include "sampling/token_rules.h"

namespace mlxs {

// The engine's monotonic time. Whoever calls reads the clock; nothing here does.
using TimePoint = std::chrono::steady_clock::time_point;

inline constexpr TimePoint kNever = TimePoint::max();
inline constexpr int kMinPriority = -1000;
inline constexpr int kMaxPriority = 1000;

// num_computed <= num_scheduled <= num_tokens() + num_in_flight <= max_length. The row of a token
// that is sampled by a step in flight can be scheduled before the token itself is known here.
struct Sequence {
  // What the caller fills in.
  SequenceId id = 0;                         // never used before, not 0
  std::vector<std::int32_t> token_ids = {};  // prompt, then output as far as it is known
  int num_prompt_tokens = 0;
  int max_length = 0;  // tokens of prompt and output at which the scheduler stops sampling
  SamplingParams sampling = {};
  std::uint64_t seed = 0;
  std::shared_ptr<const TokenRules> rules = {};  // shared by the answers to one request; null: none
  // Its next token depends on all before it, so that none may be in flight when it is sampled.
  bool needs_known_tokens = false;
  float mirostat_mu = 0.0F;             // of the next token, in bits
  std::optional<Pooling> pooling = {};  // of the prompt's hidden states

  int priority = 0;              // larger is more urgent; [kMinPriority, kMaxPriority]
  std::string key = {};          // whose share of the device it uses; empty is a key like any other
  double key_weight = 0.0;       // of that key; 0: as SchedulerOptions has it
  std::uint64_t cache_salt = 0;  // only prompts of equal salt share pages; 0: none
  UseCache use_cache = UseCache::yes;
  TimePoint arrived_at = {};
  TimePoint ttft_deadline = kNever;  // the first token must be there
  TimePoint deadline = kNever;       // the last token must be there
  SequenceId fork_of = 0;  // a sequence with the same prompt and salt, added before, whose prompt
                           // this one shares once it is computed; 0: none

  // What the scheduler keeps; read it, never write it.
  int num_computed = 0;       // tokens whose keys and values are in the pages, by completed steps
  int num_scheduled = 0;      // the same, counting the steps in flight as done
  int num_in_flight = 0;      // tokens sampled by steps in flight, not in token_ids yet
  int num_cached_tokens = 0;  // of the prompt, found in the prefix cache when it first started
  MissReason miss = MissReason::none;  // why these are not more
  int first_differing_token = -1;      // where the prompt leaves what was cached; -1: nowhere
  int num_chunks = 0;                  // slices of more than its newest token, so far
  int num_recomputes = 0;              // preemptions that lost its pages
  int num_swaps = 0;                   // preemptions that kept them in host memory
  TimePoint started_at = kNever;       // its first row was scheduled
  TimePoint first_token_at = kNever;   // the step that sampled its first token completed
  bool is_paused = false;  // its reader is slow: not scheduled until the reader caught up

  [[nodiscard]] int num_tokens() const { return static_cast<int>(token_ids.size()); }
  [[nodiscard]] int num_output_tokens() const { return num_tokens() - num_prompt_tokens; }
};

}  // namespace mlxs
