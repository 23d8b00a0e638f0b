// The faults that are set. A place that is passed while none is set costs one load.
#include "base/fault_point.h"

#ifdef MLXS_FAULT_POINTS

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/thread_annotations.h"

namespace mlxs {
namespace {

struct SetFault {
  FaultOptions options = {};
  std::uint64_t num_calls = 0;
  std::uint64_t num_harmed = 0;
};

// Thread safety: all members may be called from any thread.
class FaultTable {
 public:
  void add(FaultOptions options) {
    MutexLock lock(mutex_);
    std::string name = options.name;
    const auto [entry, is_new] = faults_.try_emplace(std::move(name));
    if (!is_new) throw std::logic_error("a fault of this name is set already: " + entry->first);
    entry->second.options = std::move(options);
    is_any_set_.store(true, std::memory_order_release);
  }

  void remove(const std::string& name) {
    MutexLock lock(mutex_);
    faults_.erase(name);
    is_any_set_.store(!faults_.empty(), std::memory_order_release);
  }

  [[nodiscard]] std::uint64_t num_harmed(const std::string& name) {
    MutexLock lock(mutex_);
    return faults_.at(name).num_harmed;
  }

  // RETURNS: what is to happen to a call at `name`, if anything.
  [[nodiscard]] std::optional<FaultOptions> pass(std::string_view name) {
    if (!is_any_set_.load(std::memory_order_acquire)) return std::nullopt;
    MutexLock lock(mutex_);
    const auto found = faults_.find(name);
    if (found == faults_.end()) return std::nullopt;
    SetFault& fault = found->second;
    const std::uint64_t call = fault.num_calls++;
    const bool is_harmed =
        call >= fault.options.first_hit && call - fault.options.first_hit < fault.options.num_hits;
    if (!is_harmed) return std::nullopt;
    ++fault.num_harmed;
    return fault.options;
  }

 private:
  std::atomic<bool> is_any_set_ = false;
  Mutex mutex_;
  std::map<std::string, SetFault, std::less<>> faults_ MLXS_GUARDED_BY(mutex_);
};

// The places lie in rooms that do not know each other, so what is set cannot be passed to them. It
// exists in builds for tests only.
FaultTable& fault_table() {
  static FaultTable table;
  return table;
}

}  // namespace

void fault_point(std::string_view name) {
  const std::optional<FaultOptions> fault = fault_table().pass(name);
  if (!fault) return;
  if (fault->kind == FaultKind::delay) std::this_thread::sleep_for(fault->delay);
  if (fault->kind == FaultKind::exception) throw InjectedFault("injected at " + fault->name);
}

bool fault_spoils(std::string_view name) {
  const std::optional<FaultOptions> fault = fault_table().pass(name);
  return fault && fault->kind == FaultKind::not_a_number;
}

ScopedFault::ScopedFault(FaultOptions options) : name_(options.name) {
  fault_table().add(std::move(options));
}

ScopedFault::~ScopedFault() { fault_table().remove(name_); }

std::uint64_t ScopedFault::num_harmed() const { return fault_table().num_harmed(name_); }

}  // namespace mlxs

#endif
