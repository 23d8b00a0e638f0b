// Whether a text is JSON, told character by character.
#pragma once

#include <string>

namespace mlxs {

// Takes one value. Strict but for control characters in strings, which models write and which
// escaped() mends. Thread safety: none.
class JsonScanner {
 public:
  enum class Step {
    more,         // the character belongs to the value, which goes on
    done,         // the character is the value's last
    done_before,  // the value (a number) ended before the character
    failed,       // the character cannot stand here
  };

  [[nodiscard]] Step push(char character);

  // RETURNS: the last character taken as JSON writes it: itself, or an escape.
  [[nodiscard]] const std::string& escaped() const { return escaped_; }

 private:
  enum class State {
    value,            // a value must come
    value_or_close,   // ... or the end of an empty list
    key,              // a key must come
    key_or_close,     // ... or the end of an empty object
    colon,            // after a key
    comma_or_close,   // after a member or an item
    string,           // in a string
    string_escape,    // after a backslash
    string_hex,       // in \uXXXX
    number_minus,     // after -
    number_zero,      // after a leading 0
    number_digits,    // in the whole part
    number_point,     // after the point
    number_fraction,  // in the fraction
    number_e,         // after e
    number_sign,      // after e and a sign
    number_exponent,  // in the exponent
    word,             // in true, false or null
  };

  Step start_value(char character);
  Step push_string(char character);
  Step push_number(char character);
  Step push_word(char character);
  Step end_value();

  State state_ = State::value;
  std::string open_;  // the brackets that are open, outermost first
  bool is_key_ = false;
  int num_hex_digits_ = 0;
  std::string word_;  // what is still to come of true, false or null
  std::string escaped_;
};

}  // namespace mlxs
