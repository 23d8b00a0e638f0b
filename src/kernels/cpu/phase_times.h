// How long the phases of a decoder layer take, added up while somebody wants to know.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace mlxs {

enum class LayerPhase { qkv, store, attention, output, gate_up, gate, down };
inline constexpr std::array<std::string_view, 7> kLayerPhaseNames = {
    "norm and qkv",
    "rope and store_kv",
    "paged_attention",
    "output product",
    "norm and gate, up",
    "gate",
    "down product"
};

struct PhaseTime {
  std::string_view name = {};
  std::chrono::nanoseconds duration{0};
  std::int64_t num_calls = 0;
};

// Thread safety: all members from any thread.
class PhaseTimes {
 public:
  void set_on(bool is_on) { is_on_.store(is_on, std::memory_order_relaxed); }
  [[nodiscard]] bool is_on() const { return is_on_.load(std::memory_order_relaxed); }

  void add(LayerPhase phase, std::chrono::nanoseconds duration) {
    Sum& sum = sums_[static_cast<std::size_t>(phase)];
    sum.ns.fetch_add(duration.count(), std::memory_order_relaxed);
    sum.calls.fetch_add(1, std::memory_order_relaxed);
  }

  // RETURNS: the sums since the last call, without those of zero.
  [[nodiscard]] std::vector<PhaseTime> take() {
    std::vector<PhaseTime> times;
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const std::int64_t ns = sums_[i].ns.exchange(0, std::memory_order_relaxed);
      const std::int64_t calls = sums_[i].calls.exchange(0, std::memory_order_relaxed);
      if (calls > 0)
        times.push_back(
            {.name = kLayerPhaseNames[i],
             .duration = std::chrono::nanoseconds(ns),
             .num_calls = calls}
        );
    }
    return times;
  }

 private:
  struct Sum {
    std::atomic<std::int64_t> ns{0};
    std::atomic<std::int64_t> calls{0};
  };

  std::atomic<bool> is_on_{false};
  std::array<Sum, kLayerPhaseNames.size()> sums_ = {};
};

// Reads the clock between the phases of a layer; not at all while nobody wants to know.
class PhaseClock {
 public:
  explicit PhaseClock(PhaseTimes& times) : times_(times.is_on() ? &times : nullptr) {
    if (times_ != nullptr) last_ = Clock::now();
  }

  // What ran since the last call was `phase`.
  void done(LayerPhase phase) {
    if (times_ == nullptr) return;
    const Clock::time_point now = Clock::now();
    times_->add(phase, now - last_);
    last_ = now;
  }

 private:
  using Clock = std::chrono::steady_clock;

  PhaseTimes* times_;
  Clock::time_point last_ = {};
};

}  // namespace mlxs
