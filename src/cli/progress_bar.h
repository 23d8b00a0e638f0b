// A bar on a terminal while a model loads; it erases itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>

namespace mlxs {

// Thread safety: one thread at a time.
class ProgressBar {
 public:
  explicit ProgressBar(std::ostream& terminal) : terminal_(terminal) {}
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // Draws, at most some times a second; does nothing where total_bytes is not positive.
  void show(std::int64_t done_bytes, std::int64_t total_bytes);

 private:
  std::ostream& terminal_;
  std::chrono::steady_clock::time_point last_drawn_{};
  bool is_drawn_ = false;
};

}  // namespace mlxs
