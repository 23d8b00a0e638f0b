// The format of one cached page on disk. Nothing in a file is believed before its checksum, and no
// page is taken for another: all tokens up to its end are in the file and are compared.
//
// Little-endian: magic (8 bytes), version, groups (4 each), bytes of the file (8), fingerprint of
// the model (32), key (16), salt, number of tokens (8 each); then bytes of each group (8 each),
// tokens (4 each), the groups' bytes; last the XXH3-128 of all bytes before it (16).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "cache/page_key.h"

namespace mlxs {

inline constexpr std::uint32_t kPageFileVersion = 1;

// Of everything that the bytes of a page depend on: weights, KV type, page size, layout.
using ModelFingerprint = std::array<std::byte, 32>;

// What a page is of.
struct PageIdentity {
  ModelFingerprint model = {};
  PageKey key = {};  // of the salt and tokens
  std::uint64_t salt = 0;
  std::span<const std::int32_t> tokens = {};  // all of the sequence up to the page's end
};

// Verified. `groups` lie in `file`; an empty one had no page (behind a window).
struct PageContents {
  std::vector<std::byte> file = {};
  std::vector<std::span<const std::byte>> groups = {};
};

enum class PageFault {
  none,
  damaged,   // truncated, checksum wrong, lengths that do not add up
  version,   // sound, of another version of the format
  identity,  // sound, but of another model, salt or text than its name says
};

struct DecodedPage {
  PageFault fault = PageFault::none;
  PageContents contents = {};  // empty unless fault is none
};

// RETURNS: the file's bytes.
[[nodiscard]] std::vector<std::byte> encode_page(
    const PageIdentity& identity, std::span<const std::span<const std::byte>> groups
);

// RETURNS: the bytes of a file of these lengths; nothing where they do not fit in 64 bits.
[[nodiscard]] std::optional<std::uint64_t> page_file_bytes(
    std::uint64_t num_tokens, std::span<const std::uint64_t> group_bytes
);

// Any bytes are safe to give.
[[nodiscard]] DecodedPage decode_page(std::vector<std::byte> file, const PageIdentity& expected);

}  // namespace mlxs
