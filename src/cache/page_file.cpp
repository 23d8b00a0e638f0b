// Fields are written and read in one order; the checksum is compared before any length is used.
#include "cache/page_file.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "cache/page_key.h"

namespace mlxs {
namespace {

static_assert(std::endian::native == std::endian::little, "page files are little-endian");

constexpr std::array<char, 8> kMagic = {'M', 'L', 'X', 'S', 'P', 'A', 'G', 'E'};
constexpr std::size_t kChecksumBytes = 16;

struct Header {
  std::array<char, 8> magic = kMagic;
  std::uint32_t version = kPageFileVersion;
  std::uint32_t num_groups = 0;
  std::uint64_t file_bytes = 0;
  ModelFingerprint model = {};
  PageKey key = {};
  std::uint64_t salt = 0;
  std::uint64_t num_tokens = 0;
};
static_assert(sizeof(Header) == 88, "no padding: every byte of a file means something");

std::array<std::byte, kChecksumBytes> checksum(std::span<const std::byte> bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  static_assert(sizeof(canonical) == kChecksumBytes);
  return std::bit_cast<std::array<std::byte, kChecksumBytes>>(canonical);
}

// Copies out of, or into, the front of `bytes`. REQUIRES: it is long enough.
template <typename T>
void take(std::span<const std::byte>& bytes, std::span<T> values) {
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size_bytes());
  bytes = bytes.subspan(values.size_bytes());
}
template <typename T>
void put(std::span<std::byte>& bytes, std::span<const T> values) {
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), values.size_bytes());
  bytes = bytes.subspan(values.size_bytes());
}

// RETURNS: whether the checksum at the end is right.
bool is_sound(std::span<const std::byte> file) {
  const auto stored = file.last(kChecksumBytes);
  return std::ranges::equal(checksum(file.first(file.size() - kChecksumBytes)), stored);
}

DecodedPage faulty(PageFault fault) { return {.fault = fault}; }

}  // namespace

std::optional<std::uint64_t> page_file_bytes(
    std::uint64_t num_tokens, std::span<const std::uint64_t> group_bytes
) {
  std::optional<std::uint64_t> total = checked_mul<std::uint64_t>(num_tokens, sizeof(std::int32_t));
  const auto add = [&](std::optional<std::uint64_t> more) {
    total = total && more ? checked_add(*total, *more) : std::nullopt;
  };
  add(sizeof(Header) + kChecksumBytes);
  add(checked_mul<std::uint64_t>(group_bytes.size(), sizeof(std::uint64_t)));
  for (const std::uint64_t bytes : group_bytes) add(bytes);
  return total;
}

std::vector<std::byte> encode_page(
    const PageIdentity& identity, std::span<const std::span<const std::byte>> groups
) {
  std::vector<std::uint64_t> group_bytes;
  for (const auto group : groups) group_bytes.push_back(group.size());
  const auto file_bytes = page_file_bytes(identity.tokens.size(), group_bytes);
  if (!file_bytes) throw std::logic_error("encode_page: a page of more than 64 bits");
  const Header header{
      .num_groups = static_cast<std::uint32_t>(groups.size()),
      .file_bytes = *file_bytes,
      .model = identity.model,
      .key = identity.key,
      .salt = identity.salt,
      .num_tokens = identity.tokens.size()
  };
  std::vector<std::byte> file(*file_bytes);
  std::span<std::byte> rest(file);
  put(rest, std::span(&header, 1));
  put(rest, std::span<const std::uint64_t>(group_bytes));
  put(rest, identity.tokens);
  for (const auto group : groups) put(rest, group);
  const auto sum = checksum(std::span(file).first(file.size() - kChecksumBytes));
  put(rest, std::span<const std::byte>(sum));
  return file;
}

DecodedPage decode_page(std::vector<std::byte> file, const PageIdentity& expected) {
  if (file.size() < sizeof(Header) + kChecksumBytes) return faulty(PageFault::damaged);
  std::span<const std::byte> rest(file);
  Header header;
  take(rest, std::span(&header, 1));
  if (header.magic != kMagic || header.file_bytes != file.size() || !is_sound(file)) {
    return faulty(PageFault::damaged);
  }
  if (header.version != kPageFileVersion) return faulty(PageFault::version);
  // A sound file has lengths that add up, but "sound" is a matter of 128 bits: they are checked.
  if (header.num_groups > rest.size() / sizeof(std::uint64_t)) return faulty(PageFault::damaged);
  std::vector<std::uint64_t> group_bytes(header.num_groups);
  take(rest, std::span(group_bytes));
  if (page_file_bytes(header.num_tokens, group_bytes) != header.file_bytes) {
    return faulty(PageFault::damaged);
  }
  std::vector<std::int32_t> tokens(header.num_tokens);
  take(rest, std::span(tokens));
  const bool is_expected = header.model == expected.model && header.key == expected.key &&
                           header.salt == expected.salt &&
                           std::ranges::equal(tokens, expected.tokens);
  if (!is_expected) return faulty(PageFault::identity);
  DecodedPage result;
  for (const std::uint64_t bytes : group_bytes) {
    result.contents.groups.push_back(rest.first(bytes));
    rest = rest.subspan(bytes);
  }
  result.contents.file = std::move(file);  // its bytes stay where they are
  return result;
}

}  // namespace mlxs
