// Any bytes as a GGUF file: opening throws our own error or describes tensors that lie in the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "mlx_serving/error.h"
#include "model/checkpoint/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t num_bytes) {
  const auto input = std::as_bytes(std::span(bytes, num_bytes));
  try {
    const mlxs::Checkpoint checkpoint =
        mlxs::Checkpoint::open_gguf_source(std::make_unique<mlxs::MemorySource>("fuzz.gguf", input)
        );
    for (const mlxs::TensorInfo& tensor : checkpoint.tensors()) {
      if (tensor.offset > num_bytes || tensor.num_bytes > num_bytes - tensor.offset) std::abort();
      if (tensor.type == mlxs::TensorType::other) continue;
      std::vector<std::byte> contents(tensor.num_bytes);
      checkpoint.read(tensor, contents);
    }
  } catch (const mlxs::Error& error) {
    if (error.code() == mlxs::ErrorCode::engine_error) std::abort();
  }
  return 0;
}
