// A bump allocator over pieces; there is more than one piece only until the next reset().
#include "kernels/cpu/scratch_arena.h"

#include <algorithm>
#include <cstddef>
#include <new>

namespace mlxs {
namespace {

constexpr std::size_t kFirstPieceBytes = std::size_t{1} << 16;

}  // namespace

void ScratchArena::Free::operator()(std::byte* bytes) const {
  ::operator delete[](bytes, std::align_val_t{kAlignment});
}

void ScratchArena::add_piece(std::size_t num_bytes) {
  auto* bytes = static_cast<std::byte*>(::operator new[](num_bytes, std::align_val_t{kAlignment}));
  pieces_.push_back({.bytes = std::unique_ptr<std::byte[], Free>(bytes), .num_bytes = num_bytes});
  used_bytes_ = 0;
}

std::byte* ScratchArena::take_bytes(std::size_t num_bytes) {
  const std::size_t rounded = (num_bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (pieces_.empty() || used_bytes_ + rounded > pieces_.back().num_bytes)
    add_piece(std::max({rounded, kFirstPieceBytes, capacity_bytes()}));
  std::byte* result = pieces_.back().bytes.get() + used_bytes_;
  used_bytes_ += rounded;
  return result;
}

void ScratchArena::reset() {
  if (pieces_.size() > 1) {
    const std::size_t num_bytes = capacity_bytes();
    pieces_.clear();
    add_piece(num_bytes);
  }
  used_bytes_ = 0;
}

std::size_t ScratchArena::capacity_bytes() const {
  std::size_t total = 0;
  for (const Piece& piece : pieces_) total += piece.num_bytes;
  return total;
}

}  // namespace mlxs
