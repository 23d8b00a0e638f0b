// Outputs and what a client is to see of them, from tests/golden/text/outputs.json. Tests only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text/output_delta.h"
#include "text/output_parser.h"

namespace mlxs::testing {

struct OutputCase {
  std::string name = {};
  OutputParserOptions options = {};
  std::string output = {};
  OutputDelta expected = {};  // the calls' ids are empty
};

[[nodiscard]] std::vector<OutputCase> read_output_cases();

// RETURNS: all that a parser makes of `pieces`, one after the other.
[[nodiscard]] OutputDelta parse_pieces(
    const OutputParserOptions& options, const std::vector<std::string_view>& pieces
);

// RETURNS: where `text` can be cut between characters.
[[nodiscard]] std::vector<std::size_t> character_borders(std::string_view text);

}  // namespace mlxs::testing
