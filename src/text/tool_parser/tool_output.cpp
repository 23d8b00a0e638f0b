// Ids come of SplitMix64, whose every seed gives a different sequence.
#include "text/tool_parser/tool_output.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "text/output_delta.h"

namespace mlxs {
namespace {

constexpr std::string_view kDigits =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

std::uint64_t next_random(std::uint64_t& state) {
  state += 0x9E3779B97F4A7C15U;
  std::uint64_t mixed = state;
  mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9U;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
  return mixed ^ (mixed >> 31U);
}

bool is_blank(char character) {
  return character == ' ' || character == '\n' || character == '\r' || character == '\t';
}

}  // namespace

void ToolOutput::text(std::string_view text) {
  for (const char character : text) {
    if (is_blank(character)) {
      held_blanks_ += character;
      continue;
    }
    delta_.text += std::exchange(held_blanks_, {});
    delta_.text += character;
  }
}

void ToolOutput::begin_call(std::string_view name) {
  held_blanks_.clear();
  ToolCallDelta call{.index = num_calls_, .id = make_id(), .name = std::string(name)};
  ++num_calls_;
  delta_.tool_calls.push_back(std::move(call));
}

void ToolOutput::arguments(std::string_view json) {
  const int index = num_calls_ - 1;
  if (delta_.tool_calls.empty()) delta_.tool_calls.push_back({.index = index});
  delta_.tool_calls.back().arguments += json;
}

void ToolOutput::finish() {
  if (num_calls_ == 0) delta_.text += held_blanks_;
  held_blanks_.clear();
}

OutputDelta ToolOutput::take() { return std::exchange(delta_, {}); }

std::string ToolOutput::make_id() {
  const std::size_t num_digits = id_style_ == ToolIdStyle::mistral ? 9 : 24;
  std::string id = id_style_ == ToolIdStyle::mistral ? "" : "call_";
  for (std::size_t i = 0; i < num_digits; ++i)
    id += kDigits[next_random(id_seed_) % kDigits.size()];
  return id;
}

}  // namespace mlxs
