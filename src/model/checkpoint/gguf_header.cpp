// Validates a GGUF header: counts, keys, values, then the tensor table and its byte ranges. No
// tensor is read.
#include "model/checkpoint/gguf_header.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "model/checkpoint/file_error.h"
#include "model/checkpoint/gguf_layout.h"
#include "model/checkpoint/sequential_reader.h"
#include "model/checkpoint/tensor_info.h"

namespace mlxs {
namespace {

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr std::uint64_t kMaxKeyValues = 65'536;
constexpr std::uint64_t kMaxGgufTensors = std::uint64_t{1} << 17;
constexpr std::uint64_t kMinKeyValueBytes = 8 + 1 + 4 + 1;
constexpr std::uint64_t kMinTensorEntryBytes = 8 + 1 + 4 + 8 + 4 + 8;
constexpr std::uint64_t kMaxKeyBytes = 65'535;
constexpr std::uint64_t kMaxTensorNameBytes = 64;
constexpr std::uint32_t kMaxGgufDims = 4;
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kMaxAlignment = 4096;

void check_version(SequentialReader& reader, std::uint32_t version) {
  if (version == 2 || version == 3) return;
  if ((version & 0xFFFFU) == 0 && version != 0) {
    throw unsupported_model(
        reader.source().name(), "a big-endian GGUF file; only little-endian ones can be read"
    );
  }
  throw unsupported_model(
      reader.source().name(),
      "GGUF version {} at offset 4; only 2 and 3 can be read, convert the model again",
      version
  );
}

std::uint64_t read_count(SequentialReader& reader, std::string_view what, std::uint64_t limit) {
  const std::uint64_t offset = reader.offset();
  const auto count = reader.value<std::uint64_t>();
  if (count <= limit) return count;
  throw invalid_model(
      reader.source().name(), "{} {} at offset {}, the limit is {}", count, what, offset, limit
  );
}

void check_count_fits(
    const SequentialReader& reader,
    std::string_view what,
    std::uint64_t count,
    std::uint64_t min_entry_bytes
) {
  if (count <= reader.bytes_left() / min_entry_bytes) return;
  throw invalid_model(
      reader.source().name(),
      "{} {} cannot fit in the {} bytes left after offset {}; the file is truncated or corrupted",
      count,
      what,
      reader.bytes_left(),
      reader.offset()
  );
}

std::string read_name(SequentialReader& reader, std::string_view what, std::uint64_t max_bytes) {
  const std::uint64_t offset = reader.offset();
  const auto num_bytes = reader.value<std::uint64_t>();
  if (num_bytes == 0 || num_bytes > max_bytes) {
    throw invalid_model(
        reader.source().name(),
        "a {} of {} bytes at offset {}, 1 to {} are allowed",
        what,
        num_bytes,
        offset,
        max_bytes
    );
  }
  return reader.text(num_bytes);
}

GgufType read_type(SequentialReader& reader, std::string_view key) {
  const std::uint64_t offset = reader.offset();
  const auto id = reader.value<std::uint32_t>();
  if (id <= static_cast<std::uint32_t>(GgufType::f64)) return static_cast<GgufType>(id);
  throw invalid_model(
      reader.source().name(),
      "key {} has the unknown value type {} at offset {}",
      quote_for_message(key),
      id,
      offset
  );
}

std::uint64_t read_string_length(SequentialReader& reader, std::string_view key) {
  const std::uint64_t offset = reader.offset();
  const auto num_bytes = reader.value<std::uint64_t>();
  if (num_bytes <= kMaxGgufStringBytes) return num_bytes;
  throw invalid_model(
      reader.source().name(),
      "key {} has a string of {} bytes at offset {}, the limit is {}",
      quote_for_message(key),
      num_bytes,
      offset,
      kMaxGgufStringBytes
  );
}

bool read_boolean(SequentialReader& reader, std::string_view key) {
  const std::uint64_t offset = reader.offset();
  const auto byte = reader.value<std::uint8_t>();
  if (byte <= 1) return byte == 1;
  throw invalid_model(
      reader.source().name(),
      "key {} has the boolean {} at offset {}",
      quote_for_message(key),
      byte,
      offset
  );
}

GgufArray read_array(SequentialReader& reader, std::string_view key) {
  GgufArray array;
  array.element_type = read_type(reader, key);
  if (array.element_type == GgufType::array) {
    throw invalid_model(
        reader.source().name(), "key {} is an array of arrays", quote_for_message(key)
    );
  }
  array.count = reader.value<std::uint64_t>();
  array.offset = reader.offset();
  check_count_fits(reader, "array elements", array.count, gguf_min_value_bytes(array.element_type));
  if (array.element_type != GgufType::string) {
    reader.skip(
        array.count * gguf_min_value_bytes(array.element_type)
    );  // does not overflow: it fits in the file
    return array;
  }
  for (std::uint64_t i = 0; i < array.count; ++i) reader.skip(read_string_length(reader, key));
  return array;
}

GgufValue read_value(SequentialReader& reader, std::string_view key) {
  const GgufType type = read_type(reader, key);
  switch (type) {
    case GgufType::u8:
      return {type, std::uint64_t{reader.value<std::uint8_t>()}};
    case GgufType::u16:
      return {type, std::uint64_t{reader.value<std::uint16_t>()}};
    case GgufType::u32:
      return {type, std::uint64_t{reader.value<std::uint32_t>()}};
    case GgufType::u64:
      return {type, reader.value<std::uint64_t>()};
    case GgufType::i8:
      return {type, std::int64_t{reader.value<std::int8_t>()}};
    case GgufType::i16:
      return {type, std::int64_t{reader.value<std::int16_t>()}};
    case GgufType::i32:
      return {type, std::int64_t{reader.value<std::int32_t>()}};
    case GgufType::i64:
      return {type, reader.value<std::int64_t>()};
    case GgufType::f32:
      return {type, double{reader.value<float>()}};
    case GgufType::f64:
      return {type, reader.value<double>()};
    case GgufType::boolean:
      return {type, read_boolean(reader, key)};
    case GgufType::string:
      return {type, reader.text(read_string_length(reader, key))};
    case GgufType::array:
      return {type, read_array(reader, key)};
  }
  throw invalid_model(
      reader.source().name(), "key {} has an unknown value type", quote_for_message(key)
  );
}

GgufMetadata::Map read_metadata(SequentialReader& reader, std::uint64_t count) {
  GgufMetadata::Map values;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t offset = reader.offset();
    std::string key = read_name(reader, "key", kMaxKeyBytes);
    if (values.contains(key)) {
      throw invalid_model(
          reader.source().name(), "key {} at offset {} occurs twice", quote_for_message(key), offset
      );
    }
    GgufValue value = read_value(reader, key);
    values.emplace(std::move(key), std::move(value));
  }
  return values;
}

std::uint64_t read_alignment(const GgufMetadata& metadata) {
  const auto entry = metadata.values().find("general.alignment");
  if (entry == metadata.values().end()) return kDefaultAlignment;
  if (entry->second.type != GgufType::u32) {
    throw invalid_model(
        metadata.file(),
        "key general.alignment has the type {}, it must be u32",
        gguf_type_name(entry->second)
    );
  }
  const auto alignment = std::get<std::uint64_t>(entry->second.value);
  if (!std::has_single_bit(alignment) || alignment > kMaxAlignment) {
    throw invalid_model(
        metadata.file(),
        "general.alignment is {}, it must be a power of two up to {}",
        alignment,
        kMaxAlignment
    );
  }
  return alignment;
}

std::vector<std::int64_t> read_shape(SequentialReader& reader, std::string_view name) {
  const std::uint64_t offset = reader.offset();
  const auto num_dims = reader.value<std::uint32_t>();
  if (num_dims == 0 || num_dims > kMaxGgufDims) {
    throw invalid_model(
        reader.source().name(),
        "tensor {} has {} dimensions at offset {}, 1 to {} are allowed",
        quote_for_message(name),
        num_dims,
        offset,
        kMaxGgufDims
    );
  }
  std::vector<std::int64_t> shape;
  for (std::uint32_t i = 0; i < num_dims; ++i) {
    const auto size = checked_narrow<std::int64_t>(reader.value<std::uint64_t>());
    if (!size || *size == 0) {
      throw invalid_model(
          reader.source().name(),
          "tensor {} has a dimension that is 0 or above 2^63 - 1 at offset {}",
          quote_for_message(name),
          reader.offset() - sizeof(std::uint64_t)
      );
    }
    shape.push_back(*size);
  }
  std::reverse(shape.begin(), shape.end());  // GGUF lists the contiguous dimension first
  return shape;
}

// `tensor.offset` is left relative to the data, whose start is known only after the last entry.
TensorInfo read_tensor_entry(SequentialReader& reader, std::uint64_t alignment) {
  const std::string& file = reader.source().name();
  TensorInfo tensor;
  tensor.name = read_name(reader, "tensor name", kMaxTensorNameBytes);
  tensor.shape = read_shape(reader, tensor.name);
  const auto type_id = reader.value<std::uint32_t>();
  const GgufTensorType* type = find_gguf_tensor_type(type_id);
  if (type == nullptr) {
    throw unsupported_model(
        file,
        "tensor {} has the unknown type {} at offset {}",
        quote_for_message(tensor.name),
        type_id,
        reader.offset() - sizeof(type_id)
    );
  }
  tensor.type = type->type;
  tensor.type_name = type->name;
  const auto num_bytes = gguf_tensor_bytes(*type, tensor.shape);
  if (!num_bytes) {
    throw invalid_model(
        file,
        "tensor {} of type {} has a size that overflows, or rows that are no multiple of {} "
        "elements",
        quote_for_message(tensor.name),
        type->name,
        type->block_elements
    );
  }
  tensor.num_bytes = *num_bytes;
  tensor.offset = reader.value<std::uint64_t>();
  if (tensor.offset % alignment != 0) {
    throw invalid_model(
        file,
        "tensor {} has the data offset {}, no multiple of the alignment {}",
        quote_for_message(tensor.name),
        tensor.offset,
        alignment
    );
  }
  return tensor;
}

void place_tensors(
    const ByteSource& source, std::vector<TensorInfo>& tensors, std::uint64_t data_start
) {
  for (TensorInfo& tensor : tensors) {
    const auto begin = checked_add(data_start, tensor.offset);
    const auto end = begin ? checked_add(*begin, tensor.num_bytes) : std::nullopt;
    if (!end || *end > source.size()) {
      throw invalid_model(
          source.name(),
          "tensor {} needs {} bytes from offset {} of the data on, but the file ends at {}; it is "
          "truncated or corrupted",
          quote_for_message(tensor.name),
          tensor.num_bytes,
          tensor.offset,
          source.size()
      );
    }
    tensor.offset = *begin;
  }
  std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return a.offset < b.offset;
  });
  for (std::size_t i = 1; i < tensors.size(); ++i) {
    if (tensors[i].offset >= tensors[i - 1].offset + tensors[i - 1].num_bytes) continue;
    throw invalid_model(
        source.name(),
        "tensors {} and {} overlap at offset {}",
        quote_for_message(tensors[i - 1].name),
        quote_for_message(tensors[i].name),
        tensors[i].offset
    );
  }
}

std::vector<TensorInfo> read_tensors(
    SequentialReader& reader, std::uint64_t count, std::uint64_t alignment
) {
  std::vector<TensorInfo> tensors;
  std::set<std::string, std::less<>> names;
  for (std::uint64_t i = 0; i < count; ++i) {
    tensors.push_back(read_tensor_entry(reader, alignment));
    if (!names.insert(tensors.back().name).second) {
      throw invalid_model(
          reader.source().name(),
          "tensor {} occurs twice, again before offset {}",
          quote_for_message(tensors.back().name),
          reader.offset()
      );
    }
  }
  return tensors;
}

}  // namespace

GgufHeader read_gguf_header(const ByteSource& source) {
  SequentialReader reader(source);
  if (reader.value<std::uint32_t>() != kMagic) {
    throw invalid_model(source.name(), "does not begin with \"GGUF\", it is no GGUF file");
  }
  const auto version = reader.value<std::uint32_t>();
  check_version(reader, version);
  const std::uint64_t num_tensors = read_count(reader, "tensors", kMaxGgufTensors);
  const std::uint64_t num_key_values = read_count(reader, "metadata keys", kMaxKeyValues);
  check_count_fits(reader, "metadata keys", num_key_values, kMinKeyValueBytes);
  GgufMetadata metadata(source, read_metadata(reader, num_key_values));
  const std::uint64_t alignment = read_alignment(metadata);
  check_count_fits(reader, "tensors", num_tensors, kMinTensorEntryBytes);
  std::vector<TensorInfo> tensors = read_tensors(reader, num_tensors, alignment);
  const auto data_start = checked_align_up(reader.offset(), alignment);
  if (!data_start) throw invalid_model(source.name(), "the header's end overflows");
  place_tensors(source, tensors, *data_start);
  return {version, std::move(metadata), std::move(tensors)};
}

}  // namespace mlxs
