// Virtual time advances with starts; see Goyal, Vin, Cheng, Start-time Fair Queueing (1996).
#include "engine/scheduler/key_shares.h"

#include <algorithm>
#include <memory>
#include <string>

#include "engine/scheduler/scheduler_options.h"

namespace mlxs {
namespace {

constexpr double kNewRequestShare = 0.05;

}  // namespace

KeyShares::KeyShares(const SchedulerOptions& options)
    : weights_(options.key_weights), default_weight_(options.default_weight) {}

double KeyShares::weight_of(const std::string& name, double weight) const {
  if (weight > 0.0) return weight;
  const auto found = weights_.find(name);
  return found == weights_.end() ? default_weight_ : found->second;
}

KeyState& KeyShares::join(const std::string& name, double weight) {
  auto& slot = keys_[name];
  if (!slot) {
    slot = std::make_unique<KeyState>();
    slot->name = name;
    slot->index = next_index_++;
  }
  KeyState& key = *slot;
  if (key.is_idle()) {
    idle_.erase({key.order(), key.name});
    key.weight = weight_of(name, weight);
    key.base += std::max(0.0, virtual_time_ - key.order());
  }
  return key;
}

double KeyShares::begin(KeyState& key) {
  virtual_time_ = std::max(virtual_time_, key.order());
  ++key.num_running;
  key.pending_s += mean_request_s_;
  forget_overtaken();
  return mean_request_s_;
}

void KeyShares::charge(KeyState& key, double seconds, double& credit) {
  const double used = std::min(seconds, credit);
  credit -= used;
  key.pending_s = std::max(0.0, key.pending_s - used);
  key.token_time_s += seconds;
}

void KeyShares::end(KeyState& key, double credit) {
  --key.num_running;
  key.pending_s = key.num_running == 0 ? 0.0 : std::max(0.0, key.pending_s - credit);
}

void KeyShares::learn_request(double seconds) {
  const double share = mean_request_s_ == 0.0 ? 1.0 : kNewRequestShare;
  mean_request_s_ += share * (seconds - mean_request_s_);
}

void KeyShares::release(KeyState& key) {
  if (!key.is_idle()) return;
  idle_.emplace(key.order(), key.name);
  forget_overtaken();
}

// A key behind the virtual time would be lifted to it when it comes back, as a new one is.
void KeyShares::forget_overtaken() {
  while (!idle_.empty() && idle_.begin()->first <= virtual_time_) {
    keys_.erase(idle_.begin()->second);
    idle_.erase(idle_.begin());
  }
}

}  // namespace mlxs
