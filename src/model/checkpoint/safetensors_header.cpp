// Validates a safetensors header. It reads the header only, never a tensor.
#include "model/checkpoint/safetensors_header.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/json.h"
#include "mlx_serving/error.h"
#include "model/checkpoint/byte_source.h"
#include "model/checkpoint/file_error.h"
#include "model/checkpoint/json_file.h"
#include "model/checkpoint/tensor_info.h"

namespace mlxs {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::size_t kMaxNameBytes = 1024;

struct DtypeRow {
  std::string_view name;
  TensorType type;
  std::uint64_t bits;
};

constexpr std::array kDtypes = {
    DtypeRow{"F32", TensorType::f32, 32},      DtypeRow{"F16", TensorType::f16, 16},
    DtypeRow{"BF16", TensorType::bf16, 16},    DtypeRow{"U32", TensorType::u32, 32},
    DtypeRow{"F64", TensorType::f64, 64},      DtypeRow{"I8", TensorType::i8, 8},
    DtypeRow{"I16", TensorType::i16, 16},      DtypeRow{"I32", TensorType::i32, 32},
    DtypeRow{"I64", TensorType::i64, 64},      DtypeRow{"U8", TensorType::u8, 8},
    DtypeRow{"U16", TensorType::u16, 16},      DtypeRow{"U64", TensorType::u64, 64},
    DtypeRow{"BOOL", TensorType::boolean, 8},  DtypeRow{"C64", TensorType::other, 64},
    DtypeRow{"F8_E4M3", TensorType::other, 8}, DtypeRow{"F8_E5M2", TensorType::other, 8},
    DtypeRow{"F8_E8M0", TensorType::other, 8}, DtypeRow{"F6_E2M3", TensorType::other, 6},
    DtypeRow{"F6_E3M2", TensorType::other, 6}, DtypeRow{"F4", TensorType::other, 4},
};

std::uint64_t read_header_length(const ByteSource& source) {
  if (source.size() < kLengthBytes) {
    throw invalid_model(
        source.name(), "{} bytes are too few for a safetensors file", source.size()
    );
  }
  std::array<std::byte, kLengthBytes> bytes{};
  source.read(0, bytes);
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    length |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  if (length > kMaxSafetensorsHeaderBytes) {
    throw invalid_model(
        source.name(),
        "the header claims {} bytes at offset 0, the limit is {}",
        length,
        kMaxSafetensorsHeaderBytes
    );
  }
  if (length > source.size() - kLengthBytes) {
    throw invalid_model(
        source.name(),
        "the header claims {} bytes at offset 0, but only {} follow; the file is truncated or "
        "corrupted",
        length,
        source.size() - kLengthBytes
    );
  }
  return length;
}

json::object parse_header(const ByteSource& source, std::uint64_t length) {
  std::string text(static_cast<std::size_t>(length), '\0');
  source.read(kLengthBytes, std::as_writable_bytes(std::span(text)));
  if (!text.starts_with('{'))
    throw invalid_model(source.name(), "the header at offset 8 does not start with '{{'");
  JsonFileLimits limits;
  limits.max_bytes = kMaxSafetensorsHeaderBytes;
  limits.max_depth = 3;
  return parse_json_object(text, source.name(), limits);
}

std::map<std::string, std::string> parse_metadata(
    const ByteSource& source, const json::value& value
) {
  std::map<std::string, std::string> metadata;
  const json::object* object = value.if_object();
  if (object == nullptr) throw invalid_model(source.name(), "__metadata__ must be an object");
  for (const auto& [key, text] : *object) {
    if (!text.is_string()) {
      throw invalid_model(
          source.name(), "__metadata__ entry {} must be a string", quote_for_message(key)
      );
    }
    metadata.emplace(std::string_view(key), std::string_view(text.get_string()));
  }
  return metadata;
}

// One tensor's entry, with the words that its errors need.
class EntryParser {
 public:
  EntryParser(
      const ByteSource& source,
      std::string_view name,
      std::uint64_t data_start,
      std::uint64_t data_bytes
  )
      : source_(source), name_(name), data_start_(data_start), data_bytes_(data_bytes) {}

  [[nodiscard]] TensorInfo parse(const json::value& value) const {
    if (name_.empty() || name_.size() > kMaxNameBytes) {
      throw invalid_model(
          source_.name(),
          "a tensor name has {} bytes, 1 to {} are allowed",
          name_.size(),
          kMaxNameBytes
      );
    }
    const json::object* entry = value.if_object();
    if (entry == nullptr || entry->size() != 3)
      throw wrong("must have exactly dtype, shape and data_offsets");
    const DtypeRow& dtype = parse_dtype(*entry);
    TensorInfo tensor;
    tensor.name = name_;
    tensor.type = dtype.type;
    tensor.type_name = dtype.name;
    tensor.shape = parse_shape(*entry);
    const auto [begin, end] = parse_offsets(*entry);
    tensor.offset = data_start_ + begin;  // begin <= data_bytes_, so the sum is within the file
    tensor.num_bytes = end - begin;
    check_size(tensor, dtype);
    return tensor;
  }

 private:
  [[nodiscard]] Error wrong(std::string_view what) const {
    return invalid_model(source_.name(), "tensor {} {}", quote_for_message(name_), what);
  }

  [[nodiscard]] const DtypeRow& parse_dtype(const json::object& entry) const {
    const json::value* value = entry.if_contains("dtype");
    if (value == nullptr || !value->is_string())
      throw wrong("has no dtype, or one that is not a string");
    const std::string_view name = value->get_string();
    const auto* row = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const DtypeRow& d) {
      return d.name == name;
    });
    if (row == kDtypes.end()) {
      throw unsupported_model(
          source_.name(),
          "tensor {} has the unknown dtype {}",
          quote_for_message(name_),
          quote_for_message(name)
      );
    }
    return *row;
  }

  [[nodiscard]] std::vector<std::int64_t> parse_shape(const json::object& entry) const {
    const json::value* value = entry.if_contains("shape");
    if (value == nullptr || !value->is_array())
      throw wrong("has no shape, or one that is not an array");
    const json::array& dimensions = value->get_array();
    if (dimensions.size() > kMaxTensorRank) {
      throw wrong(
          fmt::format("has {} dimensions, the limit is {}", dimensions.size(), kMaxTensorRank)
      );
    }
    std::vector<std::int64_t> shape;
    for (const json::value& dimension : dimensions) {
      const std::int64_t* size = dimension.if_int64();
      if (size == nullptr || *size < 0)
        throw wrong("has a dimension that is not an integer from 0 to 2^63 - 1");
      shape.push_back(*size);
    }
    return shape;
  }

  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> parse_offsets(const json::object& entry
  ) const {
    const json::value* value = entry.if_contains("data_offsets");
    const json::array* pair = value == nullptr ? nullptr : value->if_array();
    if (pair == nullptr || pair->size() != 2)
      throw wrong("has no data_offsets, or not two of them");
    const std::int64_t* begin = (*pair)[0].if_int64();
    const std::int64_t* end = (*pair)[1].if_int64();
    if (begin == nullptr || end == nullptr || *begin < 0 || *end < *begin) {
      throw wrong("has data_offsets that are not two ascending integers");
    }
    const auto last = static_cast<std::uint64_t>(*end);
    if (last > data_bytes_) {
      throw wrong(fmt::format(
          "ends at offset {} of the data, which has only {} bytes; the file is truncated or "
          "corrupted",
          last,
          data_bytes_
      ));
    }
    return {static_cast<std::uint64_t>(*begin), last};
  }

  void check_size(const TensorInfo& tensor, const DtypeRow& dtype) const {
    std::optional<std::uint64_t> num_bits = dtype.bits;
    for (const std::int64_t size : tensor.shape) {
      num_bits = num_bits ? checked_mul<std::uint64_t>(*num_bits, static_cast<std::uint64_t>(size))
                          : num_bits;
    }
    if (!num_bits) throw wrong("has a shape whose size overflows");
    if (*num_bits % 8 != 0) throw wrong("does not fill whole bytes");
    if (*num_bits / 8 != tensor.num_bytes) {
      throw wrong(fmt::format(
          "needs {} bytes by dtype and shape, data_offsets give {}", *num_bits / 8, tensor.num_bytes
      ));
    }
  }

  const ByteSource& source_;
  std::string_view name_;
  std::uint64_t data_start_;
  std::uint64_t data_bytes_;
};

// No gap, no overlap, nothing before the first tensor or after the last.
void check_tiling(
    const ByteSource& source, const std::vector<TensorInfo>& tensors, std::uint64_t data_start
) {
  std::uint64_t expected = data_start;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.offset != expected) {
      throw invalid_model(
          source.name(),
          "tensor {} begins at offset {}, but the one before it ends at {}: tensors must neither "
          "overlap nor leave gaps",
          quote_for_message(tensor.name),
          tensor.offset,
          expected
      );
    }
    expected += tensor.num_bytes;
  }
  if (expected != source.size()) {
    throw invalid_model(
        source.name(),
        "the last tensor ends at offset {}, the file at {}: there are foreign bytes",
        expected,
        source.size()
    );
  }
}

}  // namespace

SafetensorsHeader read_safetensors_header(const ByteSource& source) {
  const std::uint64_t length = read_header_length(source);
  const std::uint64_t data_start = kLengthBytes + length;
  const json::object entries = parse_header(source, length);
  if (entries.size() > kMaxTensors) {
    throw invalid_model(source.name(), "{} tensors, the limit is {}", entries.size(), kMaxTensors);
  }
  SafetensorsHeader header;
  for (const auto& [key, value] : entries) {
    const std::string_view name = key;
    if (name == "__metadata__") {
      header.metadata = parse_metadata(source, value);
      continue;
    }
    const EntryParser parser(source, name, data_start, source.size() - data_start);
    header.tensors.push_back(parser.parse(value));
  }
  std::sort(
      header.tensors.begin(),
      header.tensors.end(),
      [](const TensorInfo& a, const TensorInfo& b) {
        return std::pair(a.offset, a.num_bytes) < std::pair(b.offset, b.num_bytes);
      }
  );
  check_tiling(source, header.tensors, data_start);
  return header;
}

}  // namespace mlxs
