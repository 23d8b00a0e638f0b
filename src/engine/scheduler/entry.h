// What the scheduler keeps of a sequence beside the sequence itself. Private to this folder.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/page_layout.h"
#include "engine/batch.h"
#include "engine/scheduler/key_shares.h"
#include "engine/sequence.h"

namespace mlxs {

enum class EntryState {
  waiting,  // in the WaitingQueue; holds no pages
  parked,   // waits for another sequence or for its reader; holds no pages
  running,  // holds pages
  ended,    // failed; holds nothing and is told to nobody any more
};

struct Entry {
  Sequence sequence;
  EntryState state = EntryState::waiting;
  std::uint64_t order = 0;    // of arrival, unique
  KeyState* key = nullptr;    // not null until the entry is erased
  int urgency = 0;            // its priority, or more where others wait for it or it has aged
  int num_preemptions = 0;    // for others' sake; pauses do not count
  double credit_s = 0.0;      // what is left of the guess of its time
  double token_time_s = 0.0;  // of the device, so far
  int estimated_rows = 0;     // prompt rows that were not cached when it was added
  TimePoint timer = kNever;   // what it is filed under in the deadlines; kNever: not there
  bool is_expired = false;    // the caller has been told

  // While it runs.
  std::uint64_t incarnation = 0;         // counts starts; tells rows in flight whose pages are gone
  const PageTables* pages = nullptr;     // of the cache
  int room = 0;                          // tokens that need no grow(); 0 asks anyway
  bool is_reserved = false;              // it has the pages for all it may become
  std::vector<int> promised = {};        // pages of each group that its tokens will still take
  std::uint64_t copied_in = 0;           // step that copies a page for it
  std::vector<TokenRef> in_flight = {};  // sampled, not known; oldest first

  // Pages in host memory: host_slots[g][p] as in PageTables, kNoPage where none was saved.
  std::vector<std::vector<std::int32_t>> host_slots = {};
  int host_tokens = 0;  // keys and values saved; 0: none

  bool is_unmarked = false;  // it has computed what the cache has not been told

  // Single flight and forks.
  SequenceId leader = 0;                   // parked for it; 0: not
  int leader_tokens = 0;                   // until it has computed so many
  std::vector<SequenceId> followers = {};  // parked for this one

  [[nodiscard]] bool is_running() const { return state == EntryState::running; }
  // Tokens, those in flight included.
  [[nodiscard]] int num_known_or_fed() const {
    return sequence.num_tokens() + sequence.num_in_flight;
  }
  [[nodiscard]] int num_pending() const { return num_known_or_fed() - sequence.num_scheduled; }
  // It has one row to go, and that one is not of its prompt.
  [[nodiscard]] bool is_decode() const {
    return num_pending() == 1 && sequence.num_scheduled >= sequence.num_prompt_tokens;
  }
  // Everything it may still sample has been scheduled.
  [[nodiscard]] bool is_full() const { return num_known_or_fed() >= sequence.max_length; }
  [[nodiscard]] bool can_run() const {
    const bool is_known = !sequence.needs_known_tokens || sequence.num_in_flight == 0;
    return is_running() && is_known && !sequence.is_paused && !is_full() && num_pending() > 0;
  }
  [[nodiscard]] bool has_first_token() const { return sequence.num_output_tokens() > 0; }
};

}  // namespace mlxs
