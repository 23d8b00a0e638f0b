// Pieces are aligned, apart from each other, and become one after the first step.
#include "kernels/cpu/scratch_arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

namespace mlxs {
namespace {

TEST(ScratchArena, GivesAlignedRoomThatDoesNotOverlap) {
  ScratchArena arena;
  std::vector<char*> rooms;
  for (std::size_t size = 1; size < 200000; size = size * 3 + 1) {
    rooms.push_back(arena.take<char>(size));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(rooms.back()) % ScratchArena::kAlignment, 0U);
    std::memset(rooms.back(), static_cast<int>(rooms.size()), size);
  }
  std::size_t size = 1;
  for (std::size_t i = 0; i < rooms.size(); ++i, size = size * 3 + 1) {
    EXPECT_EQ(rooms[i][0], static_cast<char>(i + 1));
    EXPECT_EQ(rooms[i][size - 1], static_cast<char>(i + 1));
  }
}

TEST(ScratchArena, AllocatesNothingInTheSecondStep) {
  ScratchArena arena;
  for (int i = 0; i < 10; ++i) (void)arena.take<float>(30000);
  arena.reset();
  const std::size_t capacity = arena.capacity_bytes();
  float* first = arena.take<float>(30000);
  for (int i = 1; i < 10; ++i) (void)arena.take<float>(30000);
  EXPECT_EQ(arena.capacity_bytes(), capacity);
  arena.reset();
  EXPECT_EQ(arena.take<float>(30000), first);
  EXPECT_EQ(arena.capacity_bytes(), capacity);
}

}  // namespace
}  // namespace mlxs
