// The writer. It shares no table with the reader, so that an error in one is not hidden by the
// other.
#include "model/checkpoint/testing/gguf_writer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlxs::testing {
namespace {

class Output {
 public:
  template <typename T>
  void number(std::string name, T value) {
    bytes(std::move(name), raw(value));
  }
  void bytes(std::string name, std::string_view value) {
    if (!value.empty())
      written_.fields.push_back({std::move(name), written_.bytes.size(), value.size()});
    written_.bytes += value;
  }
  void pad(std::uint64_t alignment) {
    while (written_.bytes.size() % alignment != 0) written_.bytes += '\0';
  }
  void plain(std::string_view value) { written_.bytes += value; }
  [[nodiscard]] std::size_t size() const { return written_.bytes.size(); }
  [[nodiscard]] WrittenGguf take(std::uint64_t bytes_cut) {
    written_.bytes.resize(written_.bytes.size() - std::min<std::size_t>(bytes_cut, size()));
    return std::move(written_);
  }

 private:
  WrittenGguf written_;
};

std::uint64_t padded(std::uint64_t size, std::uint64_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

template <typename T>
GgufKeyValueSpec array_key(
    std::string key, std::uint32_t element_type, const std::vector<T>& values
) {
  std::string value = raw(element_type) + raw(std::uint64_t{values.size()});
  for (const T element : values) value += raw(element);
  return {std::move(key), 9, value, {}};
}

std::string random_bytes(std::mt19937& rng, std::size_t count) {
  std::string bytes(count, '\0');
  for (char& c : bytes) c = static_cast<char>(rng() & 0x3FU);
  return bytes;
}

// Blocks of 32 whose float16 fields are small and finite.
GgufTensorSpec block_tensor(
    std::mt19937& rng, std::string name, std::vector<std::uint64_t> dims, std::uint32_t type
) {
  std::uint64_t num_elements = 1;
  for (const std::uint64_t size : dims) num_elements *= size;
  std::string contents;
  for (std::uint64_t i = 0; i < num_elements / 32; ++i) {
    contents += raw(static_cast<std::uint16_t>(0x2000U + rng() % 256));
    if (type == 3) contents += raw(static_cast<std::uint16_t>(0xA000U + rng() % 256));
    contents += random_bytes(rng, type == 8 ? 32 : 16);
  }
  return {std::move(name), std::move(dims), type, std::move(contents), {}, {}, {}};
}

}  // namespace

WrittenGguf write_gguf(const GgufSpec& spec) {
  Output out;
  out.bytes("magic", spec.magic);
  out.number("version", spec.version);
  out.number("num_tensors", spec.num_tensors.value_or(spec.tensors.size()));
  out.number("num_key_values", spec.num_key_values.value_or(spec.key_values.size()));
  for (const GgufKeyValueSpec& kv : spec.key_values) {
    out.number("key length of " + kv.key, kv.key_bytes.value_or(kv.key.size()));
    out.bytes("key " + kv.key, kv.key);
    out.number("type of " + kv.key, kv.type);
    out.bytes("value of " + kv.key, kv.value);
  }
  std::uint64_t offset = 0;
  for (const GgufTensorSpec& tensor : spec.tensors) {
    out.number("name length of " + tensor.name, tensor.name_bytes.value_or(tensor.name.size()));
    out.bytes("name " + tensor.name, tensor.name);
    out.number(
        "dimensions of " + tensor.name,
        tensor.num_dims.value_or(static_cast<std::uint32_t>(tensor.dims.size()))
    );
    for (const std::uint64_t size : tensor.dims) out.number("dimension of " + tensor.name, size);
    out.number("type of tensor " + tensor.name, tensor.type);
    out.number("offset of " + tensor.name, tensor.offset.value_or(offset));
    offset = padded(offset + tensor.contents.size(), spec.alignment);
  }
  for (const GgufTensorSpec& tensor : spec.tensors) {
    out.pad(spec.alignment);
    out.plain(tensor.contents);
  }
  return out.take(spec.bytes_cut);
}

std::string raw_string(std::string_view text) {
  return raw(std::uint64_t{text.size()}).append(text);
}

GgufKeyValueSpec u32_key(std::string key, std::uint32_t value) {
  return {std::move(key), 4, raw(value), {}};
}
GgufKeyValueSpec f32_key(std::string key, float value) {
  return {std::move(key), 6, raw(value), {}};
}
GgufKeyValueSpec bool_key(std::string key, std::uint8_t value) {
  return {std::move(key), 7, raw(value), {}};
}
GgufKeyValueSpec string_key(std::string key, std::string_view value) {
  return {std::move(key), 8, raw_string(value), {}};
}
GgufKeyValueSpec strings_key(std::string key, const std::vector<std::string>& values) {
  std::string value = raw(std::uint32_t{8}) + raw(std::uint64_t{values.size()});
  for (const std::string& element : values) value += raw_string(element);
  return {std::move(key), 9, value, {}};
}
GgufKeyValueSpec f32s_key(std::string key, const std::vector<float>& values) {
  return array_key(std::move(key), 6, values);
}
GgufKeyValueSpec i32s_key(std::string key, const std::vector<std::int32_t>& values) {
  return array_key(std::move(key), 5, values);
}
GgufKeyValueSpec bools_key(std::string key, const std::vector<std::uint8_t>& values) {
  return array_key(std::move(key), 7, values);
}

void erase_key(GgufSpec& spec, std::string_view key) {
  std::erase_if(spec.key_values, [&](const GgufKeyValueSpec& kv) { return kv.key == key; });
}

void set_key(GgufSpec& spec, GgufKeyValueSpec key_value) {
  erase_key(spec, key_value.key);
  spec.key_values.push_back(std::move(key_value));
}

GgufTensorSpec f32_tensor(std::string name, std::vector<std::uint64_t> dims) {
  std::uint64_t num_elements = 1;
  for (const std::uint64_t size : dims) num_elements *= size;
  std::string contents;
  for (std::uint64_t i = 0; i < num_elements; ++i)
    contents += raw(1.0F + static_cast<float>(i % 7));
  return {std::move(name), std::move(dims), 0, std::move(contents), {}, {}, {}};
}

GgufSpec small_llama(std::uint32_t seed) {
  std::mt19937 rng(seed);
  GgufSpec spec;
  spec.key_values = {
      string_key("general.architecture", "llama"),
      string_key("general.name", "small"),
      u32_key("llama.block_count", 1),
      u32_key("llama.context_length", 128),
      u32_key("llama.embedding_length", 64),
      u32_key("llama.feed_forward_length", 96),
      u32_key("llama.attention.head_count", 2),
      u32_key("llama.attention.head_count_kv", 1),
      f32_key("llama.attention.layer_norm_rms_epsilon", 1e-5F),
      f32_key("llama.rope.freq_base", 10000.0F),
      u32_key("llama.rope.dimension_count", 32),
      string_key("tokenizer.ggml.model", "gpt2"),
      string_key("tokenizer.ggml.pre", "smollm"),
      strings_key(
          "tokenizer.ggml.tokens", {"<unk>", "<s>", "<|im_end|>", "a", "b", "c", "ab", "abc"}
      ),
      i32s_key("tokenizer.ggml.token_type", {2, 3, 3, 1, 1, 1, 1, 1}),
      f32s_key("tokenizer.ggml.scores", {0, 0, 0, -1, -2, -3, -4, -5}),
      strings_key("tokenizer.ggml.merges", {"a b", "ab c"}),
      u32_key("tokenizer.ggml.bos_token_id", 1),
      u32_key("tokenizer.ggml.eos_token_id", 2),
      bool_key("tokenizer.ggml.add_bos_token", 0),
      string_key("tokenizer.chat_template", "{{ messages[0].content }}"),
  };
  spec.tensors = {
      block_tensor(rng, "token_embd.weight", {64, 8}, 8),
      f32_tensor("output_norm.weight", {64}),
      f32_tensor("blk.0.attn_norm.weight", {64}),
      block_tensor(rng, "blk.0.attn_q.weight", {64, 64}, 3),
      block_tensor(rng, "blk.0.attn_k.weight", {64, 32}, 2),
      block_tensor(rng, "blk.0.attn_v.weight", {64, 32}, 3),
      block_tensor(rng, "blk.0.attn_output.weight", {64, 64}, 3),
      f32_tensor("blk.0.ffn_norm.weight", {64}),
      block_tensor(rng, "blk.0.ffn_gate.weight", {64, 96}, 3),
      block_tensor(rng, "blk.0.ffn_up.weight", {64, 96}, 3),
      block_tensor(rng, "blk.0.ffn_down.weight", {96, 64}, 3),
  };
  spec.tensors.push_back({"output.weight", {64, 8}, 1, random_bytes(rng, 1024), {}, {}, {}});
  return spec;
}

}  // namespace mlxs::testing
