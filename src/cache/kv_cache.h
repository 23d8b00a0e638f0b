// The KV cache as the scheduler sees it: which pages each sequence has, and which computed pages it
// shares with others by their common beginning. It decides nothing about who runs. Integers only:
// no device, clock or thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cache/page_layout.h"
#include "cache/prefix_lookup.h"

namespace mlxs {

enum class UseCache {
  no,  // neither takes from the prefix cache nor leaves anything in it
  yes,
};

enum class Keep {
  cached,   // the full pages that were marked as computed stay matchable
  nothing,  // nor do those that it brought itself and no one else uses: its step failed
};

// Thread safety: none; the engine's thread owns it.
//
// Invariants (check() tells): in each group every page is exactly one of free, held by at least one
// sequence, or held by the prefix tree only; a page is written only while one sequence is its only
// holder; two sequences share a page only where all tokens up to its end, or up to the shared
// number, and the salt are equal.
//
// The device runs steps in the order in which they were scheduled. So a page that is released here
// while a step in flight still reads or writes it can be handed out at once: what a later step
// writes comes after it.
class KvCache {
 public:
  struct Options {
    CacheLayout layout = {};
    bool prefix_caching = true;
  };

  using Lookup = PrefixLookup;

  // Of one group; num_pages == free + used + cached.
  struct Counts {
    int num_pages = 0;
    int free = 0;
    int used = 0;    // held by at least one sequence
    int cached = 0;  // held by the prefix tree only: evictable
  };

  // ERRORS: invalid_config where the layout has no group, a size below 1 or a negative window.
  explicit KvCache(Options options);
  ~KvCache();
  KvCache(const KvCache&) = delete;
  KvCache& operator=(const KvCache&) = delete;
  KvCache(KvCache&&) = delete;
  KvCache& operator=(KvCache&&) = delete;

  // Looks a prompt up and takes nothing. At most tokens.size() - 1 tokens match, because one row
  // must run for the logits. A match may end inside a page. O(pages of the prompt).
  [[nodiscard]] Lookup look_up(std::span<const std::int32_t> tokens, std::uint64_t salt) const;

  // Begins a sequence: takes the matching pages and claims the prompt's other full pages, so that
  // look_up() of an equal prompt says that they are in flight. Claims end when the page is computed
  // or the sequence stops. A page that another sequence claimed stays the other's.
  // `prompt` is all tokens known so far (after a preemption the output, too); salt 0 is none.
  // RETURNS: the tokens whose keys and values are there: the row of the next one can run.
  // ERRORS: std::logic_error where the id is in use. REQUIRES: prompt is not empty.
  int start(
      SequenceId id, std::span<const std::int32_t> prompt, std::uint64_t salt, UseCache use_cache
  );

  // Makes room for the keys and values of the tokens before `num_tokens`, evicting cached pages,
  // least recently used first. All tokens from the last mark_computed() on can then be written: a
  // page with such a token that others hold, too, is replaced by a private one, and the copy is
  // appended to `copies` for the device, to be done before the step's rows.
  // RETURNS: false where the pages do not suffice; then nothing was taken, evicted or copied.
  [[nodiscard]] bool grow(SequenceId id, int num_tokens, std::vector<PageCopy>& copies);

  // Makes room for keys and values that the caller brings from elsewhere (host memory, disk): as
  // grow(), but without copies, and in groups with a window only the pages that the token at
  // `num_tokens` sees. The caller fills the page of every table entry that is not kNoPage, from
  // entry start() / page_size (rounded down) on, then calls mark_computed(id, tokens, num_tokens).
  // REQUIRES: called after start(), before any grow().
  [[nodiscard]] bool restore(SequenceId id, int num_tokens);

  // The keys and values of the tokens before `num_computed` are there, and the step that made them
  // has succeeded. Full pages become matchable; pages behind the windows are released. Where an
  // equal page was there already, tables() takes that one instead of its own.
  // `tokens` is the whole sequence, at least num_computed tokens. A call that completes no page
  // costs O(groups). A number that is not above the last one changes nothing.
  void mark_computed(SequenceId id, std::span<const std::int32_t> tokens, int num_computed);

  // `child` begins where `parent` was last marked as computed and shares those pages; whoever
  // writes to a shared page first gets a copy (grow()). O(pages of the parent).
  // ERRORS: std::logic_error where the parent is unknown or the child's id is in use.
  void fork(SequenceId parent, SequenceId child);

  // Ends a sequence: gives back its pages and claims. An unknown id is a std::logic_error.
  void stop(SequenceId id, Keep keep);

  [[nodiscard]] bool contains(SequenceId id) const;

  // RETURNS: the sequence's page tables. Valid until it stops; entries change in grow(), restore()
  // and mark_computed().
  [[nodiscard]] const PageTables& tables(SequenceId id) const;

  // RETURNS: the tokens that were cached at start() or marked as computed since.
  [[nodiscard]] int num_computed(SequenceId id) const;

  // RETURNS: the pages of `group` that grow(id, num_tokens) would take now, copies included.
  [[nodiscard]] int pages_needed(SequenceId id, int num_tokens, int group) const;

  [[nodiscard]] Counts counts(int group) const;
  [[nodiscard]] int available(int group) const;  // free + evictable
  [[nodiscard]] const CacheLayout& layout() const;

  // Makes all cached pages free that no sequence holds.
  void clear();

  // Counts everything anew. ERRORS: std::logic_error that says which invariant is broken. O(all
  // pages); for tests.
  void check() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mlxs
