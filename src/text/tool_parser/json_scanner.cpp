// RFC 8259 as a pushdown automaton.
#include "text/tool_parser/json_scanner.h"

#include <cstddef>
#include <string>
#include <string_view>

#include "text/tool_parser/json_text.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxDepth = 100;

bool is_digit(char character) { return character >= '0' && character <= '9'; }

bool is_hex(char character) {
  return is_digit(character) || (character >= 'a' && character <= 'f') ||
         (character >= 'A' && character <= 'F');
}

}  // namespace

JsonScanner::Step JsonScanner::push(char character) {
  escaped_.assign(1, character);
  switch (state_) {
    case State::string:
    case State::string_escape:
    case State::string_hex:
      return push_string(character);
    case State::word:
      return push_word(character);
    case State::value:
    case State::value_or_close:
    case State::key:
    case State::key_or_close:
    case State::colon:
    case State::comma_or_close:
      break;
    default:
      return push_number(character);
  }
  if (is_json_blank(character)) return open_.empty() ? Step::failed : Step::more;
  switch (state_) {
    case State::colon:
      state_ = State::value;
      return character == ':' ? Step::more : Step::failed;
    case State::key_or_close:
      if (character == '}') return end_value();
      [[fallthrough]];
    case State::key:
      is_key_ = true;
      state_ = State::string;
      return character == '"' ? Step::more : Step::failed;
    case State::comma_or_close:
      if (character == (open_.back() == '{' ? '}' : ']')) return end_value();
      state_ = open_.back() == '{' ? State::key : State::value;
      return character == ',' ? Step::more : Step::failed;
    case State::value_or_close:
      if (character == ']') return end_value();
      [[fallthrough]];
    default:
      return start_value(character);
  }
}

JsonScanner::Step JsonScanner::start_value(char character) {
  switch (character) {
    case '{':
    case '[':
      if (open_.size() == kMaxDepth) return Step::failed;
      open_ += character;
      state_ = character == '{' ? State::key_or_close : State::value_or_close;
      return Step::more;
    case '"':
      state_ = State::string;
      return Step::more;
    case 't':
      word_ = "rue";
      break;
    case 'f':
      word_ = "alse";
      break;
    case 'n':
      word_ = "ull";
      break;
    case '-':
      state_ = State::number_minus;
      return Step::more;
    default:
      if (!is_digit(character)) return Step::failed;
      state_ = character == '0' ? State::number_zero : State::number_digits;
      return Step::more;
  }
  state_ = State::word;
  return Step::more;
}

JsonScanner::Step JsonScanner::push_string(char character) {
  if (state_ == State::string_escape) {
    state_ = character == 'u' ? State::string_hex : State::string;
    num_hex_digits_ = 0;
    constexpr std::string_view kEscapes = "\"\\/bfnrtu";
    return kEscapes.find(character) == std::string_view::npos ? Step::failed : Step::more;
  }
  if (state_ == State::string_hex) {
    if (++num_hex_digits_ == 4) state_ = State::string;
    return is_hex(character) ? Step::more : Step::failed;
  }
  if (character == '\\') {
    state_ = State::string_escape;
  } else if (character == '"') {
    if (!is_key_) return end_value();
    is_key_ = false;
    state_ = State::colon;
  } else {
    escaped_.clear();
    append_json_character(escaped_, character);
  }
  return Step::more;
}

JsonScanner::Step JsonScanner::push_number(char character) {
  const State before = state_;
  const bool is_in_whole = before == State::number_zero || before == State::number_digits;
  const bool is_complete =
      is_in_whole || before == State::number_fraction || before == State::number_exponent;
  if (is_digit(character) && before != State::number_zero) {
    if (before == State::number_minus)
      state_ = character == '0' ? State::number_zero : State::number_digits;
    if (before == State::number_point) state_ = State::number_fraction;
    if (before == State::number_e || before == State::number_sign) state_ = State::number_exponent;
    return Step::more;
  }
  if (character == '.' && is_in_whole) {
    state_ = State::number_point;
    return Step::more;
  }
  if ((character == 'e' || character == 'E') && (is_in_whole || before == State::number_fraction)) {
    state_ = State::number_e;
    return Step::more;
  }
  if ((character == '+' || character == '-') && before == State::number_e) {
    state_ = State::number_sign;
    return Step::more;
  }
  if (!is_complete) return Step::failed;
  if (open_.empty()) return Step::done_before;
  state_ = State::comma_or_close;
  return push(character);
}

JsonScanner::Step JsonScanner::push_word(char character) {
  if (word_.front() != character) return Step::failed;
  word_.erase(0, 1);
  if (!word_.empty()) return Step::more;
  state_ = State::comma_or_close;
  return open_.empty() ? Step::done : Step::more;
}

// A bracket that closes ends the value around it, too; a string ends itself alone.
JsonScanner::Step JsonScanner::end_value() {
  if (state_ != State::string) open_.pop_back();
  state_ = State::comma_or_close;
  return open_.empty() ? Step::done : Step::more;
}

}  // namespace mlxs
