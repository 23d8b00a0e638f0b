// Compilation happens outside the lock: two threads may compile the same grammar once each.
#include "text/grammar_cache.h"

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "base/thread_annotations.h"
#include "text/grammar.h"

namespace mlxs {

std::shared_ptr<const Grammar> GrammarCache::get(const GrammarSpec& spec) {
  std::string key = std::to_string(static_cast<int>(spec.kind)) + ':' + spec.text;
  if (auto grammar = find(key)) return grammar;
  auto grammar = std::make_shared<const Grammar>(Grammar::compile(vocabulary_, spec));
  add({.key = std::move(key), .grammar = grammar});
  return grammar;
}

std::size_t GrammarCache::num_bytes() const {
  const MutexLock lock(mutex_);
  return num_bytes_;
}

std::shared_ptr<const Grammar> GrammarCache::find(const std::string& key) {
  const MutexLock lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->grammar;
}

void GrammarCache::add(Entry entry) {
  const MutexLock lock(mutex_);
  if (by_key_.contains(entry.key)) return;
  num_bytes_ += entry.grammar->num_bytes();
  entries_.push_front(std::move(entry));
  by_key_[entries_.front().key] = entries_.begin();
  while (num_bytes_ > max_bytes_ && !entries_.empty()) {
    num_bytes_ -= entries_.back().grammar->num_bytes();
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

}  // namespace mlxs
