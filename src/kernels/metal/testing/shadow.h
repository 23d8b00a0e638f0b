// What is known of each byte of memory: whether it belongs to something, who wrote it last and who
// read it since. Private to the harness.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/metal/testing/harness.h"

namespace mlxs::msl {

// Who touches memory, and when.
struct Toucher {
  std::uint32_t group = 0;          // serial number of the threadgroup, over all launches; from 1
  std::uint32_t interval = 0;       // between barriers that order this memory
  std::uint32_t lane_interval = 0;  // between barriers of the SIMD-group or the threadgroup
  std::uint16_t thread = 0;         // index in the threadgroup
  [[nodiscard]] unsigned int simd_group() const { return thread / kSimdWidth; }
};

struct Region {
  std::size_t begin = 0;
  std::size_t num_bytes = 0;
  std::string name;
};

// One run of memory with gaps between what lies in it.
class Shadow {
 public:
  Shadow(std::size_t num_bytes, const char* what);
  ~Shadow();
  Shadow(const Shadow&) = delete;
  Shadow& operator=(const Shadow&) = delete;

  [[nodiscard]] bool contains(const void* address) const {
    return static_cast<const unsigned char*>(address) - memory_ >= 0 &&
           static_cast<const unsigned char*>(address) < memory_ + size_;
  }
  [[nodiscard]] void* allocate(
      std::size_t num_bytes, std::size_t alignment, const char* name, Contents contents
  );
  void clear();  // nothing lies in it any more
  [[nodiscard]] std::size_t num_bytes_used() const { return used_; }

  // first_group: of this launch; what earlier ones wrote is no race. RETURNS: an empty text, or
  // what is wrong.
  struct Finding {
    Fault fault = Fault::race;
    std::string what;
  };
  [[nodiscard]] bool touch(
      const void* address, std::size_t num_bytes, bool is_write, const Toucher& by, Finding& finding
  );
  void touch_atomically(const void* address, std::size_t num_bytes, const Toucher& by);
  void set_launch(std::uint32_t first_group) { first_group_ = first_group; }
  void set_lane_order(LaneOrder order) { lane_order_ = order; }
  // Contents live as long as a threadgroup.
  void set_group_local() { is_group_local_ = true; }
  [[nodiscard]] const unsigned char* first_unwritten(const void* address, std::size_t num_bytes)
      const;
  [[nodiscard]] std::string describe(const void* address) const;

 private:
  struct Cell {
    Toucher writer;
    Toucher reader;
    Toucher other_reader;            // in the same interval; of another SIMD-group if there was one
    std::uint32_t reader_group = 0;  // a threadgroup that read before `reader`'s
    bool is_mapped = false;
    bool is_initialised = false;  // by the host, or by an atomic operation
  };

  [[nodiscard]] bool conflicts(const Toucher& before, const Toucher& now) const;
  [[nodiscard]] bool is_written(const Cell& cell, const Toucher& by) const;
  [[nodiscard]] bool was_read_by_another(const Cell& cell, const Toucher& by) const;
  static void note_reader(Cell& cell, const Toucher& by);

  const char* what_;
  std::size_t size_;
  unsigned char* memory_ = nullptr;
  Cell* cells_ = nullptr;  // one a byte, mapped where touched
  std::size_t used_ = 0;
  std::size_t next_ = 0;
  std::vector<Region> regions_;
  std::uint32_t first_group_ = 1;
  LaneOrder lane_order_ = LaneOrder::strict;
  bool is_group_local_ = false;
};

}  // namespace mlxs::msl
