// Compiled grammars by their text, the least recently used ones dropped beyond a limit of bytes.
// Nothing is written to disk.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "base/thread_annotations.h"
#include "text/grammar.h"

namespace mlxs {

// Thread safety: all members may be called from any thread at once.
class GrammarCache {
 public:
  // REQUIRES: `vocabulary` outlives this.
  GrammarCache(const GrammarVocabulary& vocabulary, std::size_t max_bytes)
      : vocabulary_(vocabulary), max_bytes_(max_bytes) {}

  // RETURNS: the grammar, compiled unless it is held. It is shared, because it may be dropped from
  // the cache while requests still use it.
  // ERRORS: those of Grammar::compile(); nothing is held of a failure.
  [[nodiscard]] std::shared_ptr<const Grammar> get(const GrammarSpec& spec) MLXS_EXCLUDES(mutex_);

  [[nodiscard]] std::size_t num_bytes() const MLXS_EXCLUDES(mutex_);

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const Grammar> grammar;
  };

  [[nodiscard]] std::shared_ptr<const Grammar> find(const std::string& key) MLXS_EXCLUDES(mutex_);
  void add(Entry entry) MLXS_EXCLUDES(mutex_);

  const GrammarVocabulary& vocabulary_;
  const std::size_t max_bytes_;
  mutable Mutex mutex_;
  std::list<Entry> entries_ MLXS_GUARDED_BY(mutex_);  // the most recently used first
  std::map<std::string, std::list<Entry>::iterator> by_key_ MLXS_GUARDED_BY(mutex_);
  std::size_t num_bytes_ MLXS_GUARDED_BY(mutex_) = 0;
};

}  // namespace mlxs
