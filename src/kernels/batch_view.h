// What a forward pass sees of a batch and of the KV pool: integers and page tables; no requests, no
// scheduling.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/mx.h"

namespace mlxs {

// A run of rows of one sequence. Row i of it is the token at position context_length + i.
struct SequenceView {
  int first_row = 0;       // in the flat batch
  int num_rows = 0;        // 1: a decode; more: a prompt or a chunk of one
  int context_length = 0;  // tokens before the first row, whose keys and values are in the pool
  // page p holds the tokens [p * S, (p + 1) * S) of the sequence
  std::vector<std::int32_t> pages = {};
  bool use_long_rope = false;  // longrope: the frequencies of sequences beyond the original context
};

// One flat ragged batch of T rows. Built by make_batch_view().
struct BatchView {
  std::vector<SequenceView> sequences;  // in the order of their rows, without gaps
  mx::array slots;  // [T] int32: page * S + offset, where each row's key and value are stored
  mx::array long_rope_rows;  // [T] bool: use_long_rope of each row's sequence
};

// The KV pool: one pair of arrays a layer, each [P, S, Hkv, D].
struct KvPages {
  std::vector<mx::array> keys;
  std::vector<mx::array> values;
  int page_size = 0;  // S

  [[nodiscard]] int num_pages() const { return keys.empty() ? 0 : keys.front().shape(0); }
};

// Computes the slots from the page tables.
// ERRORS: engine_error when rows overlap or have gaps, or a page table is too short or names a page
// outside [0, num_pages): the kernels index by these numbers without looking at them again.
[[nodiscard]] BatchView make_batch_view(
    std::vector<SequenceView> sequences, int page_size, int num_pages
);

// RETURNS: [T] int32, the position of each row in its sequence.
[[nodiscard]] mx::array batch_positions(const BatchView& batch);

}  // namespace mlxs
