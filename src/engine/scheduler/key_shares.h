// Start-time fair queueing of the device among keys: who got how much of its time for its weight.
// Knows nothing of sequences.
//
// The order of a key is (token-time it got + token-time that its running requests will still take)
// / weight. The second part is a guess, the mean of what requests took; without it one key would
// get all places that are free at once. A key that was idle begins where the others are: time that
// it did not use is not saved up.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/scheduler/scheduler_options.h"

namespace mlxs {

struct KeyState {
  std::string name = {};
  std::uint64_t index = 0;  // of creation; breaks ties
  double weight = 1.0;
  double token_time_s = 0.0;  // got
  double pending_s = 0.0;     // running requests will still take
  double base = 0.0;          // added to the order; lifts a key that was idle
  int num_running = 0;
  int num_waiting = 0;
  bool is_charged = false;  // its order changed and the queue does not know yet

  [[nodiscard]] double order() const { return base + (token_time_s + pending_s) / weight; }
  [[nodiscard]] bool is_idle() const { return num_running == 0 && num_waiting == 0; }
};

class KeyShares {
 public:
  explicit KeyShares(const SchedulerOptions& options);

  // RETURNS: the key's state, made where there is none. Call it before the key gets something.
  // `weight` counts where it is above 0, else the options'; a key that has requests here keeps the
  // one that it has until it is idle. Valid until release() of the idle key.
  [[nodiscard]] KeyState& join(const std::string& name, double weight = 0.0);

  // A request of the key begins. RETURNS: the guess that was added to pending_s.
  double begin(KeyState& key);
  // It got `seconds`; `credit` is what is left of its guess.
  static void charge(KeyState& key, double seconds, double& credit);
  // It runs no longer; what is left of its guess is given back.
  static void end(KeyState& key, double credit);
  // A request ended that took `seconds` in all.
  void learn_request(double seconds);

  // Forgets an idle key once the others have caught up with it.
  void release(KeyState& key);

  [[nodiscard]] const std::map<std::string, std::unique_ptr<KeyState>, std::less<>>& all() const {
    return keys_;
  }

 private:
  [[nodiscard]] double weight_of(const std::string& name, double weight) const;
  void forget_overtaken();

  std::map<std::string, double> weights_;
  double default_weight_;
  std::map<std::string, std::unique_ptr<KeyState>, std::less<>> keys_;
  std::set<std::pair<double, std::string>> idle_;  // by order
  double virtual_time_ = 0.0;  // the largest order of a key at the start of a request of it
  double mean_request_s_ = 0.0;
  std::uint64_t next_index_ = 0;
};

}  // namespace mlxs
