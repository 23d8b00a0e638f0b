// What a scheduler is made with: sizes, and the knobs of the policy. docs/GPU_SCHEDULER_GUIDE.md
// explains each with examples.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "cache/page_layout.h"

namespace mlxs {

enum class PreemptionKind {
  recompute,  // a preempted sequence gives its pages back and computes them again
  swap,       // they are moved to host memory as far as host_pages suffice, else recomputed; always
              // recomputed where a group has a window
};

struct SchedulerOptions {
  int max_sequences = 16;  // running at once
  int step_tokens = 128;   // rows of one step at most; >= max_sequences, so that all decodes fit
  CacheLayout cache = {};  // pages and their size
  bool prefix_caching = true;

  // How many prompt rows a step with decodes takes. 0 milliseconds: automatic, a step with prompt
  // rows takes at most max_slowdown times the predicted time of its decodes alone.
  double target_itl_ms = 0.0;
  double max_slowdown = 1.8;  // >= 1; used where target_itl_ms is 0
  int min_prefill_rows = 0;   // a step takes so many whatever they cost; 0: one page

  int max_waiting = 1024;  // one more is refused with rate_limit_exceeded

  // Shares of the keys: token-time is divided among keys that want more than they get as their
  // weights are. A key that is not named has default_weight. Weights are > 0.
  std::map<std::string, double> key_weights = {};
  double default_weight = 1.0;

  PreemptionKind preemption = PreemptionKind::recompute;
  int host_pages = 0;       // host slots of each page group, 0 .. host_pages - 1; used by swap
  int max_preemptions = 4;  // of one sequence for the sake of more urgent ones

  // Nothing starves: of aged_share starts one goes to the request that has waited longest, once it
  // has waited for aging_ms, whatever its priority and key. 0 aged_share: off.
  double aging_ms = 10'000.0;
  int aged_share = 16;

  // Share of each group's pages that starting a sequence leaves free for the growth of those that
  // run; [0, 0.5].
  double watermark = 0.01;
};

// RETURNS: `options`. ERRORS: invalid_config that names the field, its value and its range.
[[nodiscard]] SchedulerOptions checked(const SchedulerOptions& options);

}  // namespace mlxs
