// The GGUF validator against sound files, every class of broken header, truncation and random
// mutation.
#include "model/checkpoint/gguf_header.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "base/testing/test_scale.h"
#include "mlx_serving/error.h"
#include "model/checkpoint/byte_source.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/tensor_info.h"
#include "model/checkpoint/testing/gguf_writer.h"
#include "model/checkpoint/testing/hostile_files.h"

namespace mlxs {
namespace {

using testing::as_bytes;
using testing::expect_placed;
using testing::expect_sound;
using testing::GgufKeyValueSpec;
using testing::GgufSpec;
using testing::GgufTensorSpec;
using testing::Outcome;
using testing::raw;
using testing::raw_string;
using testing::scaled_count;

Outcome read_header(const std::string& name, const std::string& bytes) {
  return expect_sound(name, [&] {
    const MemorySource source("test.gguf", as_bytes(bytes));
    const GgufHeader header = read_gguf_header(source);
    expect_placed(header.tensors, bytes.size());
  });
}

Outcome open_model(const std::string& name, const std::string& bytes) {
  return expect_sound(name, [&] {
    const Checkpoint checkpoint =
        Checkpoint::open_gguf_source(std::make_unique<MemorySource>("test.gguf", as_bytes(bytes)));
    expect_placed(checkpoint.tensors(), bytes.size());
  });
}

// A file of random keys of every type and random tensors, in the manner of a fuzzer's sound half.
GgufSpec random_spec(std::uint32_t seed) {
  std::mt19937 rng(seed);
  GgufSpec spec;
  for (int i = 0; i < 12; ++i) {
    const std::string key = "key_" + std::to_string(i);
    switch (rng() % 6) {
      case 0:
        spec.key_values.push_back({key, 0, raw(static_cast<std::uint8_t>(rng())), {}});
        break;
      case 1:
        spec.key_values.push_back({key, 11, raw(static_cast<std::int64_t>(rng())), {}});
        break;
      case 2:
        spec.key_values.push_back({key, 12, raw(static_cast<double>(rng())), {}});
        break;
      case 3:
        spec.key_values.push_back(testing::string_key(key, std::string(rng() % 40, 'x')));
        break;
      case 4:
        spec.key_values.push_back(testing::strings_key(key, {"a", "", "bc"}));
        break;
      default:
        spec.key_values.push_back(testing::bool_key(key, rng() % 2 == 0));
        break;
    }
  }
  for (int i = 0; i < 6; ++i) {
    const std::string name = "tensor_" + std::to_string(i);
    spec.tensors.push_back(testing::f32_tensor(name, {1 + rng() % 9, 1 + rng() % 5}));
  }
  return spec;
}

void set_alignment(GgufSpec& spec, std::uint32_t alignment) {
  set_key(spec, testing::u32_key("general.alignment", alignment));
}

struct HandmadeClass {
  const char* name;
  Outcome expected;
  std::function<void(GgufSpec&)> change;
};

void PrintTo(const HandmadeClass& handmade, std::ostream* out) { *out << handmade.name; }

constexpr auto kRefused = Outcome::refused;
constexpr auto kAccepted = Outcome::accepted;
constexpr std::uint64_t kHuge = ~std::uint64_t{0};

const std::vector<HandmadeClass>& header_classes() {
  static const std::vector<HandmadeClass> classes = {
      {"bad_magic", kRefused, [](GgufSpec& s) { s.magic = "FUGG"; }},
      {"version_0", kRefused, [](GgufSpec& s) { s.version = 0; }},
      {"version_1", kRefused, [](GgufSpec& s) { s.version = 1; }},
      {"version_future", kRefused, [](GgufSpec& s) { s.version = 4; }},
      {"version_big_endian", kRefused, [](GgufSpec& s) { s.version = 0x03000000; }},
      {"num_tensors_huge", kRefused, [](GgufSpec& s) { s.num_tensors = kHuge; }},
      {"num_tensors_above_the_cap", kRefused, [](GgufSpec& s) { s.num_tensors = 200'000; }},
      {"num_tensors_one_more", kRefused, [](GgufSpec& s) { s.num_tensors = s.tensors.size() + 1; }},
      {"num_key_values_huge", kRefused, [](GgufSpec& s) { s.num_key_values = kHuge; }},
      {"num_key_values_above_the_cap", kRefused, [](GgufSpec& s) { s.num_key_values = 65'537; }},
      {"num_key_values_beyond_the_file", kRefused, [](GgufSpec& s) { s.num_key_values = 60'000; }},
      {"empty", kAccepted, [](GgufSpec& s) { s.key_values.clear(), s.tensors.clear(); }},
      {"version_2", kAccepted, [](GgufSpec& s) { s.version = 2; }},
      {"sound", kAccepted, [](GgufSpec&) {}},
  };
  return classes;
}

const std::vector<HandmadeClass>& key_classes() {
  static const auto add = [](GgufSpec& spec, std::uint32_t type, const std::string& value) {
    spec.key_values.push_back({"added", type, value, {}});
  };
  static const std::vector<HandmadeClass> classes = {
      {"key_length_huge", kRefused, [](GgufSpec& s) { s.key_values[0].key_bytes = kHuge; }},
      {"key_length_above_the_cap", kRefused, [](GgufSpec& s) { s.key_values[0].key_bytes = 65'536; }
      },
      {"key_empty", kRefused, [](GgufSpec& s) { s.key_values[0].key.clear(); }},
      {"key_twice", kRefused, [](GgufSpec& s) { s.key_values.push_back(s.key_values[0]); }},
      {"value_type_unknown", kRefused, [](GgufSpec& s) { s.key_values[0].type = 13; }},
      {"value_type_negative", kRefused, [](GgufSpec& s) { s.key_values[0].type = 0xFFFFFFFF; }},
      {"boolean_of_two", kRefused, [](GgufSpec& s) { add(s, 7, raw(std::uint8_t{2})); }},
      {"string_length_huge", kRefused, [](GgufSpec& s) { add(s, 8, raw(kHuge)); }},
      {"string_above_the_cap",
       kRefused,
       [](GgufSpec& s) { add(s, 8, raw(std::uint64_t{(16 << 20) + 1})); }},
      {"string_beyond_the_file",
       kRefused,
       [](GgufSpec& s) { add(s, 8, raw(std::uint64_t{1 << 20})); }},
      {"array_of_arrays", kRefused, [](GgufSpec& s) { add(s, 9, raw(9U) + raw(std::uint64_t{1})); }
      },
      {"array_type_unknown",
       kRefused,
       [](GgufSpec& s) { add(s, 9, raw(99U) + raw(std::uint64_t{1})); }},
      {"array_count_huge", kRefused, [](GgufSpec& s) { add(s, 9, raw(4U) + raw(kHuge)); }},
      {"array_count_wraps", kRefused, [](GgufSpec& s) { add(s, 9, raw(4U) + raw(kHuge / 4 + 2)); }},
      {"strings_count_huge", kRefused, [](GgufSpec& s) { add(s, 9, raw(8U) + raw(kHuge / 8)); }},
      {"strings_one_too_long",
       kRefused,
       [](GgufSpec& s) {
         add(s, 9, raw(8U) + raw(std::uint64_t{2}) + raw_string("a") + raw(kHuge));
       }},
      {"alignment_13", kRefused, [](GgufSpec& s) { set_alignment(s, 13); }},
      {"alignment_0", kRefused, [](GgufSpec& s) { set_alignment(s, 0); }},
      {"alignment_8192", kRefused, [](GgufSpec& s) { s.alignment = 8192, set_alignment(s, 8192); }},
      {"alignment_of_i32",
       kRefused,
       [](GgufSpec& s) { set_key(s, {"general.alignment", 5, raw(std::int32_t{32}), {}}); }},
  };
  return classes;
}

const std::vector<HandmadeClass>& tensor_classes() {
  static const std::vector<HandmadeClass> classes = {
      {"name_too_long", kRefused, [](GgufSpec& s) { s.tensors[0].name = std::string(65, 'n'); }},
      {"name_length_huge", kRefused, [](GgufSpec& s) { s.tensors[0].name_bytes = kHuge; }},
      {"name_empty", kRefused, [](GgufSpec& s) { s.tensors[0].name.clear(); }},
      {"name_twice", kRefused, [](GgufSpec& s) { s.tensors[1].name = s.tensors[0].name; }},
      {"dimensions_5", kRefused, [](GgufSpec& s) { s.tensors[0].dims = {1, 1, 1, 1, 1}; }},
      {"dimensions_0", kRefused, [](GgufSpec& s) { s.tensors[0].num_dims = 0; }},
      {"dimensions_huge", kRefused, [](GgufSpec& s) { s.tensors[0].num_dims = 0xFFFFFFFF; }},
      {"dimension_negative", kRefused, [](GgufSpec& s) { s.tensors[0].dims[0] = kHuge; }},
      {"dimension_zero", kRefused, [](GgufSpec& s) { s.tensors[0].dims[0] = 0; }},
      {"elements_overflow",
       kRefused,
       [](GgufSpec& s) { s.tensors[0].dims = {std::uint64_t{1} << 32, std::uint64_t{1} << 32}; }},
      {"bytes_overflow", kRefused, [](GgufSpec& s) { s.tensors[0].dims = {kHuge / 4}; }},
      {"block_bytes_overflow",
       kRefused,
       [](GgufSpec& s) { s.tensors[0].type = 3, s.tensors[0].dims = {0x7FFFFFFFFFFFFFE0}; }},
      {"type_unknown", kRefused, [](GgufSpec& s) { s.tensors[0].type = 200; }},
      {"type_removed", kRefused, [](GgufSpec& s) { s.tensors[0].type = 4; }},
      {"rows_no_whole_block",
       kRefused,
       [](GgufSpec& s) { s.tensors[0].type = 3, s.tensors[0].dims = {31}; }},
      {"offset_unaligned", kRefused, [](GgufSpec& s) { s.tensors[0].offset = 1; }},
      {"offset_beyond_the_file", kRefused, [](GgufSpec& s) { s.tensors[0].offset = 1 << 30; }},
      {"offset_wraps", kRefused, [](GgufSpec& s) { s.tensors[0].offset = kHuge - 31; }},
      {"overlap", kRefused, [](GgufSpec& s) { s.tensors[1].offset = 0; }},
      {"alignment_inconsistent", kRefused, [](GgufSpec& s) { s.alignment = 1; }},
      {"alignment_key_larger", kRefused, [](GgufSpec& s) { set_alignment(s, 4096); }},
      {"data_too_short", kRefused, [](GgufSpec& s) { s.bytes_cut = 1; }},
      {"data_missing", kRefused, [](GgufSpec& s) { s.tensors.back().contents.clear(); }},
      {"sum_overflows",
       kRefused,
       [](GgufSpec& s) {
         for (GgufTensorSpec& tensor : s.tensors)
           tensor.type = 24, tensor.dims = {0x7FFFFFFFFFFFFFC0};
       }},
      {"alignment_64", kAccepted, [](GgufSpec& s) { s.alignment = 64, set_alignment(s, 64); }},
      {"alignment_1", kAccepted, [](GgufSpec& s) { s.alignment = 1, set_alignment(s, 1); }},
      {"four_dimensions",
       kAccepted,
       [](GgufSpec& s) { s.tensors.push_back(testing::f32_tensor("four", {2, 1, 3, 2})); }},
  };
  return classes;
}

class GgufHandmade : public ::testing::TestWithParam<HandmadeClass> {};

TEST_P(GgufHandmade, IsJudgedRightForEverySeed) {
  const HandmadeClass& handmade = GetParam();
  const std::uint64_t memory_before = testing::peak_memory_bytes();
  const std::size_t num_seeds = scaled_count(100);
  for (std::uint32_t seed = 0; seed < num_seeds; ++seed) {
    GgufSpec spec = random_spec(seed);
    handmade.change(spec);
    const std::string name = std::string(handmade.name) + " with seed " + std::to_string(seed);
    EXPECT_EQ(read_header(name, write_gguf(spec).bytes), handmade.expected) << name;
  }
  EXPECT_LE(testing::peak_memory_bytes(), memory_before + (std::uint64_t{64} << 20));
}

std::string class_name(const ::testing::TestParamInfo<HandmadeClass>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Header, GgufHandmade, ::testing::ValuesIn(header_classes()), class_name);
INSTANTIATE_TEST_SUITE_P(Keys, GgufHandmade, ::testing::ValuesIn(key_classes()), class_name);
INSTANTIATE_TEST_SUITE_P(Tensors, GgufHandmade, ::testing::ValuesIn(tensor_classes()), class_name);

TEST(GgufHeader, ReadsTheSmallModel) {
  const std::string bytes = write_gguf(testing::small_llama(1)).bytes;
  const MemorySource source("test.gguf", as_bytes(bytes));
  const GgufHeader header = read_gguf_header(source);
  EXPECT_EQ(header.version, 3U);
  ASSERT_EQ(header.tensors.size(), 12U);
  EXPECT_EQ(header.tensors[0].name, "token_embd.weight");
  EXPECT_EQ(header.tensors[0].type, TensorType::q8_0);
  EXPECT_EQ(header.tensors[0].type_name, "Q8_0");
  EXPECT_EQ(header.tensors[0].shape, (std::vector<std::int64_t>{8, 64}));
  EXPECT_EQ(header.tensors[0].num_bytes, 8U * 2 * 34);
  EXPECT_EQ(header.metadata.int32("llama.block_count"), 1);
  EXPECT_EQ(header.metadata.string("general.name"), "small");
  EXPECT_EQ(header.metadata.boolean("tokenizer.ggml.add_bos_token"), false);
  EXPECT_EQ(
      header.metadata.strings("tokenizer.ggml.merges"), (std::vector<std::string>{"a b", "ab c"})
  );
  EXPECT_EQ(header.metadata.int32("absent"), std::nullopt);
}

TEST(GgufHeader, AccessorsRefuseOtherTypes) {
  GgufSpec spec;
  spec.key_values = {
      testing::u32_key("u32", 7),
      testing::f32_key("nan", std::numeric_limits<float>::quiet_NaN()),
      {"negative", 5, raw(std::int32_t{-1}), {}},
      {"large", 10, raw(std::uint64_t{1} << 40), {}},
      testing::string_key("text", "x"),
      testing::f32s_key("floats", {1, 2}),
      {"bytes", 9, raw(0U) + raw(std::uint64_t{3}) + "abc", {}},
      testing::bools_key("flags", {0, 2}),
      testing::i32s_key("ids", {-5, 6}),
  };
  const std::string bytes = write_gguf(spec).bytes;
  const MemorySource source("test.gguf", as_bytes(bytes));
  const GgufHeader header = read_gguf_header(source);
  const GgufMetadata& metadata = header.metadata;
  EXPECT_THROW((void)metadata.string("u32"), Error);
  EXPECT_THROW((void)metadata.number("u32"), Error);
  EXPECT_THROW((void)metadata.boolean("u32"), Error);
  EXPECT_THROW((void)metadata.number("nan"), Error);
  EXPECT_THROW((void)metadata.unsigned_integer("negative"), Error);
  EXPECT_THROW((void)metadata.int32("large"), Error);
  EXPECT_EQ(metadata.unsigned_integer("large"), std::uint64_t{1} << 40);
  EXPECT_THROW((void)metadata.int32("text"), Error);
  EXPECT_THROW((void)metadata.strings("floats"), Error);
  EXPECT_THROW((void)metadata.floats("bytes"), Error);  // u8[] must never be read as float[]
  EXPECT_THROW((void)metadata.int32s("floats"), Error);
  EXPECT_THROW((void)metadata.booleans("flags"), Error);
  EXPECT_THROW((void)metadata.int32("floats"), Error);
  EXPECT_EQ(metadata.floats("floats"), (std::vector<float>{1, 2}));
  EXPECT_EQ(metadata.int32s("ids"), (std::vector<std::int32_t>{-5, 6}));
  EXPECT_EQ(metadata.bytes("bytes"), (std::vector<std::uint8_t>{'a', 'b', 'c'}));
  try {
    (void)metadata.strings("floats");
  } catch (const Error& error) {
    EXPECT_STREQ(
        error.what(),
        "test.gguf: key floats has the type array of f32, it must be an array of strings"
    );
  }
}

TEST(GgufHeader, TruncatedAtManyPointsIsRefusedWithAnOffset) {
  const std::string bytes = write_gguf(testing::small_llama(2)).bytes;
  const std::size_t num_points = scaled_count(2000);
  for (std::size_t i = 0; i < num_points; ++i) {
    const std::size_t length = bytes.size() * i / num_points;
    const std::string cut = bytes.substr(0, length);
    EXPECT_EQ(open_model("cut to " + std::to_string(length), cut), kRefused) << length;
    try {
      (void)Checkpoint::open_gguf_source(std::make_unique<MemorySource>("cut.gguf", as_bytes(cut)));
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_TRUE(message.starts_with("cut.gguf: ")) << message;
      EXPECT_NE(message.find("offset"), std::string::npos) << message;
    }
  }
}

// Each header field, changed to extreme and to random values, alone.
TEST(GgufHeader, EachFieldMutatedIsRefusedOrSound) {
  const testing::WrittenGguf written = write_gguf(testing::small_llama(3));
  std::mt19937 rng(3);
  std::size_t num_refused = 0;
  for (const testing::FieldPlace& field : written.fields) {
    std::vector<std::string> values = {
        std::string(field.num_bytes, '\0'),
        std::string(field.num_bytes, '\xFF'),
        std::string(field.num_bytes, '\x7F')
    };
    for (int i = 0; i < 5; ++i) {
      std::string value(field.num_bytes, '\0');
      for (char& c : value) c = static_cast<char>(rng());
      values.push_back(value);
    }
    for (const std::string& value : values) {
      std::string bytes = written.bytes;
      bytes.replace(field.offset, field.num_bytes, value);
      if (open_model(field.name, bytes) == kRefused) ++num_refused;
    }
  }
  EXPECT_GT(num_refused, written.fields.size() * 4);
}

TEST(GgufHeader, RandomMutationsAreRefusedOrSound) {
  const std::size_t num_mutations = scaled_count(100'000);
  std::vector<std::string> files;
  for (std::uint32_t seed = 0; seed < 4; ++seed)
    files.push_back(write_gguf(testing::small_llama(seed)).bytes);
  files.push_back(write_gguf(random_spec(4)).bytes);
  std::mt19937 rng(5);
  std::size_t num_refused = 0;
  const std::uint64_t memory_before = testing::peak_memory_bytes();
  for (std::size_t i = 0; i < num_mutations; ++i) {
    const std::string bytes = testing::mutate(files[i % files.size()], rng);
    const std::string name = "mutation " + std::to_string(i);
    const bool is_model = i % files.size() != 4;
    const Outcome outcome = is_model ? open_model(name, bytes) : read_header(name, bytes);
    if (outcome == kRefused) ++num_refused;
  }
  EXPECT_GT(num_refused, num_mutations / 4);
  EXPECT_LT(num_refused, num_mutations);
  EXPECT_LE(testing::peak_memory_bytes(), memory_before + (std::uint64_t{64} << 20));
}

}  // namespace
}  // namespace mlxs
