// Any bytes as a safetensors file: reading the header throws our own error, or the tensors fill the
// data exactly.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "mlx_serving/error.h"
#include "model/checkpoint/safetensors_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t num_bytes) {
  const mlxs::MemorySource source("fuzz.safetensors", std::as_bytes(std::span(bytes, num_bytes)));
  try {
    const mlxs::SafetensorsHeader header = mlxs::read_safetensors_header(source);
    if (header.tensors.empty()) return 0;
    std::uint64_t expected = header.tensors.front().offset;
    for (const mlxs::TensorInfo& tensor : header.tensors) {
      if (tensor.offset != expected) std::abort();
      expected += tensor.num_bytes;
    }
    if (expected != num_bytes) std::abort();
  } catch (const mlxs::Error& error) {
    if (error.code() == mlxs::ErrorCode::engine_error) std::abort();
  }
  return 0;
}
