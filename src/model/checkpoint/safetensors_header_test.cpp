// The safetensors validator against sound files, handmade broken ones, truncation and random
// mutation.
#include "model/checkpoint/safetensors_header.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/testing/test_scale.h"
#include "mlx_serving/error.h"
#include "model/checkpoint/byte_source.h"
#include "model/checkpoint/tensor_info.h"
#include "model/checkpoint/testing/hostile_files.h"
#include "model/checkpoint/testing/safetensors_writer.h"

namespace mlxs {
namespace {

using testing::as_bytes;
using testing::Outcome;
using testing::scaled_count;
using testing::write_safetensors;

Outcome read_file(const std::string& name, const std::string& bytes) {
  return testing::expect_sound(name, [&] {
    const MemorySource source("test.safetensors", as_bytes(bytes));
    const SafetensorsHeader header = read_safetensors_header(source);
    testing::expect_placed(header.tensors, bytes.size());
    std::uint64_t total = 0;
    for (const TensorInfo& tensor : header.tensors) total += tensor.num_bytes;
    std::uint64_t header_bytes = 0;
    std::memcpy(&header_bytes, bytes.data(), 8);
    EXPECT_EQ(8 + header_bytes + total, bytes.size()) << name;
  });
}

std::string entry(
    const std::string& name,
    const std::string& dtype,
    const std::string& shape,
    const std::string& offsets
) {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
         offsets + "}";
}

struct Handmade {
  const char* name;
  std::string header;
  std::size_t num_bytes;
};

// All of them are refused; 8 bytes of data fit entry("a", "F32", "[2]", "[0,8]").
std::vector<Handmade> refused_headers() {
  const std::string a = entry("a", "F32", "[2]", "[0,8]");
  const std::string many_dims = "[1,1,1,1,1,1,1,1,2]";
  return {
      {"empty_text", "", 0},
      {"not_json", "{hello}", 0},
      {"not_an_object", "[1,2]", 0},
      {"leading_space", " {" + a + "}", 8},
      {"duplicate_tensor", "{" + a + "," + a + "}", 8},
      {"duplicate_member",
       R"({"a":{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]}})",
       8},
      {"duplicate_metadata", R"({"__metadata__":{},"__metadata__":{},)" + a + "}", 8},
      {"metadata_no_object", R"({"__metadata__":1,)" + a + "}", 8},
      {"metadata_no_string", R"({"__metadata__":{"x":1},)" + a + "}", 8},
      {"trailing_text", "{" + a + "} x", 8},
      {"deep_nesting", std::string(200'000, '[') + "{}", 0},
      {"overlap", "{" + a + "," + entry("b", "F32", "[2]", "[4,12]") + "}", 12},
      {"same_range_twice", "{" + a + "," + entry("b", "F32", "[2]", "[0,8]") + "}", 8},
      {"gap", "{" + a + "," + entry("b", "F32", "[1]", "[12,16]") + "}", 16},
      {"gap_at_the_start", "{" + entry("a", "F32", "[1]", "[4,8]") + "}", 8},
      {"trailing_bytes", "{" + a + "}", 9},
      {"data_too_short", "{" + a + "}", 7},
      {"data_without_tensors", "{}", 8},
      {"offsets_reversed", "{" + entry("a", "F32", "[2]", "[8,0]") + "}", 8},
      {"offsets_negative", "{" + entry("a", "F32", "[2]", "[-8,0]") + "}", 8},
      {"offsets_one", "{" + entry("a", "F32", "[2]", "[8]") + "}", 8},
      {"offsets_three", "{" + entry("a", "F32", "[2]", "[0,4,8]") + "}", 8},
      {"offsets_fraction", "{" + entry("a", "F32", "[2]", "[0,8.0]") + "}", 8},
      {"offsets_text", "{" + entry("a", "F32", "[2]", R"(["0","8"])") + "}", 8},
      {"offsets_2_64", "{" + entry("a", "F32", "[2]", "[0,18446744073709551616]") + "}", 8},
      {"offsets_2_64_minus_1", "{" + entry("a", "F32", "[2]", "[0,18446744073709551615]") + "}", 8},
      {"zero_size_inside_another", "{" + entry("z", "F32", "[0]", "[4,4]") + "," + a + "}", 8},
      {"zero_size_with_bytes", "{" + entry("a", "F32", "[0]", "[0,8]") + "}", 8},
      {"size_disagrees", "{" + entry("a", "F32", "[3]", "[0,8]") + "}", 8},
      {"dtype_disagrees", "{" + entry("a", "F16", "[2]", "[0,8]") + "}", 8},
      {"dtype_unknown", "{" + entry("a", "F33", "[2]", "[0,8]") + "}", 8},
      {"dtype_lower_case", "{" + entry("a", "f32", "[2]", "[0,8]") + "}", 8},
      {"dtype_missing", R"({"a":{"shape":[2],"data_offsets":[0,8]}})", 8},
      {"dtype_number", R"({"a":{"dtype":32,"shape":[2],"data_offsets":[0,8]}})", 8},
      {"member_unknown", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", 8},
      {"shape_missing", R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", 8},
      {"shape_no_array", "{" + entry("a", "F32", "2", "[0,8]") + "}", 8},
      {"shape_negative", "{" + entry("a", "F32", "[-2]", "[0,8]") + "}", 8},
      {"shape_two_negatives", "{" + entry("a", "F32", "[-1,-2]", "[0,8]") + "}", 8},
      {"shape_fraction", "{" + entry("a", "F32", "[2.0]", "[0,8]") + "}", 8},
      {"shape_wraps", "{" + entry("a", "F32", "[4611686018427387904,2]", "[0,0]") + "}", 0},
      {"shape_wraps_to_8", "{" + entry("a", "U8", "[4294967296,4294967296,1]", "[0,0]") + "}", 0},
      {"rank_9", "{" + entry("a", "F32", many_dims, "[0,8]") + "}", 8},
      {"half_a_byte", "{" + entry("a", "F4", "[1]", "[0,0]") + "}", 0},
      {"entry_null", R"({"a":null})", 0},
      {"name_empty", "{" + entry("", "F32", "[2]", "[0,8]") + "}", 8},
      {"name_too_long", "{" + entry(std::string(2000, 'n'), "F32", "[2]", "[0,8]") + "}", 8},
      {"name_not_utf8", "{" + entry("\xFF\xFE", "F32", "[2]", "[0,8]") + "}", 8},
      {"too_many_values", "{\"a\":[" + std::string(std::size_t{1} << 21, ',') + "]}", 0},
  };
}

TEST(SafetensorsHandmade, AreAllRefused) {
  const std::vector<Handmade> cases = refused_headers();
  ASSERT_GE(cases.size(), 40U);
  for (const Handmade& handmade : cases) {
    const std::string bytes =
        write_safetensors(handmade.header, std::string(handmade.num_bytes, '\0'));
    EXPECT_EQ(read_file(handmade.name, bytes), Outcome::refused) << handmade.name;
  }
}

TEST(SafetensorsHandmade, LengthsThatDoNotFitAreRefused) {
  const std::uint64_t memory_before = testing::peak_memory_bytes();
  for (const std::uint64_t length :
       {std::uint64_t{0},
        std::uint64_t{1},
        std::uint64_t{3},
        std::uint64_t{100},
        kMaxSafetensorsHeaderBytes,
        kMaxSafetensorsHeaderBytes + 1,
        std::uint64_t{1} << 62,
        ~std::uint64_t{0} - 7,
        ~std::uint64_t{0}}) {
    EXPECT_EQ(read_file("length", write_safetensors("{}", "", length)), Outcome::refused) << length;
  }
  EXPECT_EQ(read_file("nothing", ""), Outcome::refused);
  EXPECT_LE(testing::peak_memory_bytes(), memory_before + (std::uint64_t{16} << 20));
}

TEST(SafetensorsHandmade, SoundHeadersAreAccepted) {
  const std::vector<Handmade> cases = {
      {"no_tensors", "{}", 0},
      {"metadata_only", R"({"__metadata__":{"a":"b"}})", 0},
      {"trailing_spaces", "{" + entry("a", "F32", "[2]", "[0,8]") + "}   ", 8},
      {"any_order",
       "{" + entry("b", "U8", "[2]", "[8,10]") + "," + entry("a", "F32", "[2]", "[0,8]") + "}",
       10},
      {"scalar", "{" + entry("a", "F64", "[]", "[0,8]") + "}", 8},
      {"empty_tensor",
       "{" + entry("a", "F32", "[0]", "[0,0]") + "," + entry("b", "U8", "[8]", "[0,8]") + "}",
       8},
      {"empty_tensors",
       "{" + entry("a", "F32", "[0]", "[0,0]") + "," + entry("b", "F32", "[2,0]", "[0,0]") + "}",
       0},
      {"two_halves", "{" + entry("a", "F4", "[2]", "[0,1]") + "}", 1},
      {"float8", "{" + entry("a", "F8_E4M3", "[8]", "[0,8]") + "}", 8},
  };
  for (const Handmade& handmade : cases) {
    const std::string bytes =
        write_safetensors(handmade.header, std::string(handmade.num_bytes, '\0'));
    EXPECT_EQ(read_file(handmade.name, bytes), Outcome::accepted) << handmade.name;
  }
}

TEST(SafetensorsHeader, DescribesEachTensor) {
  const std::string bytes = write_safetensors(testing::small_safetensors());
  const MemorySource source("test.safetensors", as_bytes(bytes));
  const SafetensorsHeader header = read_safetensors_header(source);
  EXPECT_EQ(header.metadata.at("format"), "mlx");
  ASSERT_EQ(header.tensors.size(), 7U);
  EXPECT_EQ(header.tensors[1].name, "model.norm.weight");
  EXPECT_EQ(header.tensors[1].type, TensorType::bf16);
  EXPECT_EQ(header.tensors[1].type_name, "BF16");
  EXPECT_EQ(header.tensors[1].shape, (std::vector<std::int64_t>{64}));
  EXPECT_EQ(header.tensors[1].num_bytes, 128U);
  EXPECT_EQ(header.tensors[1].offset, header.tensors[0].offset + 2048);
  EXPECT_EQ(header.tensors[2].type, TensorType::u32);
}

TEST(SafetensorsHeader, MessagesNameFileAndTensor) {
  const std::string bytes =
      write_safetensors("{" + entry("w\n\"", "F32", "[3]", "[0,8]") + "}", "12345678");
  const std::string escaped =
      write_safetensors(R"({"w\n":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", "12345678");
  EXPECT_EQ(read_file("raw control characters", bytes), Outcome::refused);
  const MemorySource source("dir/test.safetensors", as_bytes(escaped));
  try {
    (void)read_safetensors_header(source);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_model);
    EXPECT_STREQ(
        error.what(),
        "dir/test.safetensors: tensor \"w\\x0a\" needs 12 bytes by dtype and shape, data_offsets "
        "give 8"
    );
  }
}

TEST(SafetensorsHeader, TruncatedAtManyPointsIsRefused) {
  const std::string bytes = write_safetensors(testing::small_safetensors());
  const std::size_t num_points = scaled_count(2000);
  for (std::size_t i = 0; i < num_points; ++i) {
    const std::size_t length = bytes.size() * i / num_points;
    EXPECT_EQ(
        read_file("cut to " + std::to_string(length), bytes.substr(0, length)), Outcome::refused
    );
  }
}

// The length field, and every number and word of the header, each replaced alone.
TEST(SafetensorsHeader, EachFieldMutatedIsRefused) {
  const std::string bytes = write_safetensors(testing::small_safetensors());
  for (std::size_t i = 0; i < 8; ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      EXPECT_EQ(read_file("length bit", changed), Outcome::refused) << i << "." << bit;
    }
  }
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  std::size_t num_digits = 0;
  bool is_in_brackets = false;
  for (std::size_t i = 8; i < 8 + header_bytes; ++i) {
    if (bytes[i] == '[' || bytes[i] == ']') is_in_brackets = bytes[i] == '[';
    if (!is_in_brackets || bytes[i] < '0' || bytes[i] > '9') continue;
    std::string changed = bytes;
    changed[i] = changed[i] == '9' ? '8' : static_cast<char>(changed[i] + 1);
    // The dimension beside a zero may be anything.
    const bool is_beside_zero = bytes.compare(i - 2, 3, "0,4") == 0;
    const Outcome expected = is_beside_zero ? Outcome::accepted : Outcome::refused;
    EXPECT_EQ(read_file("digit", changed), expected) << bytes.substr(i - 8, 16);
    ++num_digits;
  }
  EXPECT_GT(num_digits, 40U);
}

TEST(SafetensorsHeader, RandomMutationsAreRefusedOrSound) {
  const std::size_t num_mutations = scaled_count(100'000);
  const std::string bytes = write_safetensors(testing::small_safetensors());
  std::mt19937 rng(11);
  std::size_t num_refused = 0;
  const std::uint64_t memory_before = testing::peak_memory_bytes();
  for (std::size_t i = 0; i < num_mutations; ++i) {
    const std::string changed = testing::mutate(bytes, rng);
    if (read_file("mutation " + std::to_string(i), changed) == Outcome::refused) ++num_refused;
  }
  EXPECT_GT(num_refused, num_mutations / 4);
  EXPECT_LT(num_refused, num_mutations);
  EXPECT_LE(testing::peak_memory_bytes(), memory_before + (std::uint64_t{64} << 20));
}

}  // namespace
}  // namespace mlxs
