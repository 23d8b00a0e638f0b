// The order in which waiting sequences start: by priority, then by key, least served for its weight
// first, then by arrival. Every operation is O(log n) in the number of sequences.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "engine/scheduler/entry.h"
#include "engine/scheduler/key_shares.h"

namespace mlxs {

// Invariants: each sequence in it is also counted in its key's num_waiting.
class WaitingQueue {
 public:
  void push(Entry& entry);
  void erase(Entry& entry);

  // The key's order changed.
  void reorder(const KeyState& key);

  // RETURNS: who is next, or null.
  [[nodiscard]] Entry* best() const;
  // RETURNS: who arrived first, or null.
  [[nodiscard]] Entry* oldest() const;

  [[nodiscard]] int size() const { return static_cast<int>(by_arrival_.size()); }

  struct Ahead {
    int num_sequences = 0;
    std::int64_t num_rows = 0;  // of prompts, as estimated when they were added
  };
  // RETURNS: what waits with at least `priority`.
  [[nodiscard]] Ahead ahead_of(int priority) const;

 private:
  using Line = std::map<std::uint64_t, Entry*>;  // of one key and priority, by arrival
  struct KeyLine {
    double order = 0.0;  // of the key, as filed in `keys`
    Line line = {};
  };
  struct Level {
    std::set<std::tuple<double, std::uint64_t, const KeyState*>> keys = {};  // order, index, key
    std::unordered_map<const KeyState*, KeyLine> lines = {};
    Ahead total = {};
  };

  std::map<int, Level, std::greater<>> levels_;  // by priority; none is empty
  std::map<std::uint64_t, Entry*> by_arrival_;
};

}  // namespace mlxs
