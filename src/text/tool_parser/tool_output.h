// Where a tool parser's findings go: text and calls, as deltas. Blanks around calls are dropped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/output_delta.h"

namespace mlxs {

// How clients expect a call's id to look.
enum class ToolIdStyle {
  openai,   // "call_" and 24 letters and digits
  mistral,  // 9 letters and digits
};

// Thread safety: none.
class ToolOutput {
 public:
  // `id_seed` makes the ids: equal seeds give equal ids.
  ToolOutput(ToolIdStyle id_style, std::uint64_t id_seed)
      : id_style_(id_style), id_seed_(id_seed) {}

  void text(std::string_view text);
  void begin_call(std::string_view name);
  void arguments(std::string_view json);
  void finish();

  [[nodiscard]] int num_calls() const { return num_calls_; }

  // RETURNS: what has come since the last time.
  [[nodiscard]] OutputDelta take();

 private:
  [[nodiscard]] std::string make_id();

  ToolIdStyle id_style_;
  std::uint64_t id_seed_;
  int num_calls_ = 0;
  std::string held_blanks_;
  OutputDelta delta_;
};

}  // namespace mlxs
