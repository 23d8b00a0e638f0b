// Memory of one step: handed out in order, all given back at once. After the first step of a kind
// it allocates nothing.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace mlxs {

// Thread safety: none; take what a phase needs before the team runs it.
class ScratchArena {
 public:
  static constexpr std::size_t kAlignment = 64;

  // RETURNS: room for `num_values`, aligned to kAlignment, not filled; valid until reset().
  template <typename T>
  [[nodiscard]] T* take(std::size_t num_values) {
    return reinterpret_cast<T*>(take_bytes(num_values * sizeof(T)));
  }

  // Gives everything back. What had to be allocated in pieces becomes one piece for the next step.
  void reset();

  [[nodiscard]] std::size_t capacity_bytes() const;

 private:
  struct Free {
    void operator()(std::byte* bytes) const;
  };
  struct Piece {
    std::unique_ptr<std::byte[], Free> bytes;
    std::size_t num_bytes = 0;
  };

  std::byte* take_bytes(std::size_t num_bytes);
  void add_piece(std::size_t num_bytes);

  std::vector<Piece> pieces_;   // the last one is being handed out
  std::size_t used_bytes_ = 0;  // of the last piece
};

}  // namespace mlxs
