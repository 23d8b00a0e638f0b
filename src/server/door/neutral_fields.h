// Fields of samplers and features that this engine does not have: a client may send them with the
// value that switches them off, and is refused by name with any other.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "server/openai/field_reader.h"

namespace mlxs {

struct NeutralNumber {
  std::string_view name;
  double value;
};

// ERRORS: unsupported, naming the field; as FieldReader for a wrong type.
void check_neutral_numbers(FieldReader& fields, std::span<const NeutralNumber> numbers);

// Fields that may be false. ERRORS: as above.
void check_neutral_switches(FieldReader& fields, std::span<const std::string_view> names);

// Fields that may be absent, empty or false. ERRORS: as above.
void check_empty(FieldReader& fields, std::span<const std::string_view> names);

[[noreturn]] void throw_unsupported(const std::string& path);

}  // namespace mlxs
