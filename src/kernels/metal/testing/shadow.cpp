// Memory and cells are mapped as they are touched: most of both never is.
#include "kernels/metal/testing/shadow.h"

#include <spdlog/fmt/fmt.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>

namespace mlxs::msl {
namespace {

constexpr std::size_t kGap = 256;  // between regions

void* map(std::size_t num_bytes) {
  void* memory = mmap(
      nullptr, num_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0
  );
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

std::size_t round_up(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

Shadow::Shadow(std::size_t num_bytes, const char* what)
    : what_(what),
      size_(num_bytes),
      memory_(static_cast<unsigned char*>(map(num_bytes))),
      cells_(static_cast<Cell*>(map(num_bytes * sizeof(Cell)))) {}

Shadow::~Shadow() {
  munmap(memory_, size_);
  munmap(cells_, size_ * sizeof(Cell));
}

void* Shadow::allocate(
    std::size_t num_bytes, std::size_t alignment, const char* name, Contents contents
) {
  const std::size_t begin = round_up(next_ + kGap, std::max<std::size_t>(16, alignment));
  if (begin + num_bytes + kGap > size_)
    throw std::logic_error(fmt::format("[msl] no room for {} bytes of {} memory", num_bytes, what_)
    );
  next_ = begin + num_bytes;
  used_ += num_bytes;
  regions_.push_back({begin, num_bytes, name});
  for (std::size_t i = begin; i < next_; ++i) {
    cells_[i] = Cell{};
    cells_[i].is_mapped = true;
    cells_[i].is_initialised = contents == Contents::initialised;
  }
  // What nobody has written shows as rubbish, not as zeros.
  if (contents == Contents::uninitialised) std::memset(memory_ + begin, 0xdb, num_bytes);
  return memory_ + begin;
}

void Shadow::clear() {
  for (const Region& region : regions_) {
    for (std::size_t i = region.begin; i < region.begin + region.num_bytes; ++i) cells_[i] = Cell{};
  }
  regions_.clear();
  next_ = 0;
  used_ = 0;
}

bool Shadow::conflicts(const Toucher& before, const Toucher& now) const {
  if (before.group != now.group) return !is_group_local_ && before.group >= first_group_;
  if (before.simd_group() != now.simd_group()) return before.interval == now.interval;
  return lane_order_ == LaneOrder::strict && before.thread != now.thread &&
         before.lane_interval == now.lane_interval;
}

bool Shadow::is_written(const Cell& cell, const Toucher& by) const {
  if (is_group_local_) return cell.writer.group == by.group;
  return cell.is_initialised || cell.writer.group != 0;
}

bool Shadow::was_read_by_another(const Cell& cell, const Toucher& by) const {
  if (cell.reader.group != 0 && conflicts(cell.reader, by)) return true;
  if (cell.other_reader.group != 0 && conflicts(cell.other_reader, by)) return true;
  return !is_group_local_ && cell.reader_group >= first_group_ && cell.reader_group != by.group;
}

void Shadow::note_reader(Cell& cell, const Toucher& by) {
  Toucher& first = cell.reader;
  Toucher& second = cell.other_reader;
  if (first.group != by.group || first.interval != by.interval) {
    if (first.group != by.group) cell.reader_group = first.group;
    first = by;
    second = {};
  } else if (first.simd_group() != by.simd_group()) {
    second = by;
  } else if (first.lane_interval != by.lane_interval) {
    first = by;
    if (second.simd_group() == by.simd_group()) second = {};
  } else if (first.thread != by.thread &&
             (second.group == 0 || second.simd_group() == by.simd_group())) {
    second = by;
  }
}

bool Shadow::touch(
    const void* address, std::size_t num_bytes, bool is_write, const Toucher& by, Finding& finding
) {
  const auto* at = static_cast<const unsigned char*>(address);
  Cell* cell = cells_ + (at - memory_);
  for (std::size_t i = 0; i < num_bytes; ++i, ++cell) {
    const auto found = [&](Fault fault, const std::string& what) {
      finding = {
          fault, fmt::format("{} of {} {}", is_write ? "a write" : "a read", describe(at + i), what)
      };
      return false;
    };
    if (at + i >= memory_ + size_ || !cell->is_mapped)
      return found(Fault::out_of_bounds, "is outside of it");
    const bool has_writer = cell->writer.group != 0;
    if (has_writer && conflicts(cell->writer, by)) {
      return found(
          Fault::race,
          fmt::format(
              "races with a write by thread {} of threadgroup run {}",
              cell->writer.thread,
              cell->writer.group
          )
      );
    }
    if (!is_write) {
      if (!is_written(*cell, by)) return found(Fault::uninitialised, "comes before any write");
      note_reader(*cell, by);
      continue;
    }
    if (was_read_by_another(*cell, by))
      return found(Fault::race, fmt::format("races with a read by thread {}", cell->reader.thread));
    cell->writer = by;
  }
  return true;
}

void Shadow::touch_atomically(const void* address, std::size_t num_bytes, const Toucher& by) {
  const auto* at = static_cast<const unsigned char*>(address);
  for (std::size_t i = 0; i < num_bytes && contains(at + i); ++i) {
    Cell& cell = cells_[at + i - memory_];
    cell.is_initialised = true;
    if (is_group_local_) cell.writer.group = by.group;
  }
}

const unsigned char* Shadow::first_unwritten(const void* address, std::size_t num_bytes) const {
  const auto* at = static_cast<const unsigned char*>(address);
  for (std::size_t i = 0; i < num_bytes; ++i) {
    const Cell& cell = cells_[at + i - memory_];
    if (!cell.is_initialised && cell.writer.group == 0) return at + i;
  }
  return nullptr;
}

std::string Shadow::describe(const void* address) const {
  const auto offset =
      static_cast<std::size_t>(static_cast<const unsigned char*>(address) - memory_);
  const Region* nearest = nullptr;
  for (const Region& region : regions_) {
    if (region.begin <= offset + kGap / 2) nearest = &region;
  }
  if (nearest == nullptr) return fmt::format("{} memory", what_);
  return fmt::format(
      "{} memory '{}' ({} bytes) at byte {}",
      what_,
      nearest->name,
      nearest->num_bytes,
      static_cast<std::ptrdiff_t>(offset) - static_cast<std::ptrdiff_t>(nearest->begin)
  );
}

}  // namespace mlxs::msl
