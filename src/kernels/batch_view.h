// What a forward pass sees of a batch and of the KV pool: integers and page tables; no requests, no
// scheduling.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/kv_pages.h"
#include "kernels/mx.h"

namespace mlxs {

// A run of rows of one sequence. Row i of it is the token at position context_length + i.
struct SequenceView {
  int first_row = 0;       // in the flat batch
  int num_rows = 0;        // 1: a decode; more: a prompt or a chunk of one
  int context_length = 0;  // tokens before the first row, whose keys and values are in the pool
  // [group][p]: the page with the tokens [p * S, (p + 1) * S) of the sequence for the layers of a
  // group; negative where the group's window has left it behind
  std::vector<std::vector<std::int32_t>> pages = {};
  bool use_long_rope = false;  // longrope: the frequencies of sequences beyond the original context
};

// One flat ragged batch of T rows. Built by make_batch_view().
struct BatchView {
  std::vector<SequenceView> sequences;  // in the order of their rows, without gaps
  // [group]: [T] int32, page * S + offset, where each row's key and value are stored
  std::vector<mx::array> slots;
  mx::array long_rope_rows;  // [T] bool: use_long_rope of each row's sequence
};

// Computes the slots from the page tables.
// ERRORS: engine_error when rows overlap or have gaps, or a sequence has not a page table for each
// group, or a table is too short, lacks a page that some row sees, or names one that its group has
// not: the kernels index by these numbers without looking at them again.
[[nodiscard]] BatchView make_batch_view(
    std::vector<SequenceView> sequences, const PoolShape& shape
);

// RETURNS: [T] int32, the position of each row in its sequence.
[[nodiscard]] mx::array batch_positions(const BatchView& batch);

}  // namespace mlxs
