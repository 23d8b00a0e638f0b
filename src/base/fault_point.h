// Named places where tests let something go wrong: an exception, a delay, a result that is not a
// number. Builds without MLXS_FAULT_POINTS, release builds among them, have none: there the calls
// below are nothing, and a fault cannot be set.
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace mlxs {

#ifdef MLXS_FAULT_POINTS

inline constexpr bool kHasFaultPoints = true;

// Does what a fault set for `name` says. ERRORS: InjectedFault. THREADS: any.
void fault_point(std::string_view name);

// RETURNS: whether the result made at `name` is to be spoilt. THREADS: any.
[[nodiscard]] bool fault_spoils(std::string_view name);

enum class FaultKind {
  exception,     // fault_point() throws InjectedFault
  delay,         // fault_point() sleeps
  not_a_number,  // fault_spoils() is true
};

struct FaultOptions {
  std::string name = {};
  FaultKind kind = FaultKind::exception;
  std::uint64_t first_hit = 0;  // calls that pass unharmed before it
  std::uint64_t num_hits = 1;   // calls that it then harms
  std::chrono::milliseconds delay{0};
};

// What a fault point throws.
class InjectedFault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A fault while it is in scope. Several may be set at once, of other names.
//
// Thread safety: none, but the places that it concerns may be on any thread.
class ScopedFault {
 public:
  // ERRORS: std::logic_error where a fault of this name is set.
  explicit ScopedFault(FaultOptions options);
  ~ScopedFault();
  ScopedFault(const ScopedFault&) = delete;
  ScopedFault& operator=(const ScopedFault&) = delete;

  // RETURNS: how many calls it has harmed.
  [[nodiscard]] std::uint64_t num_harmed() const;

 private:
  std::string name_;
};

#else

inline constexpr bool kHasFaultPoints = false;

inline void fault_point(std::string_view /*name*/) {}
[[nodiscard]] inline bool fault_spoils(std::string_view /*name*/) { return false; }

#endif

}  // namespace mlxs
