// Sorted containers; nothing here walks over sequences.
#include "engine/scheduler/waiting_queue.h"

#include "engine/scheduler/entry.h"
#include "engine/scheduler/key_shares.h"

namespace mlxs {

void WaitingQueue::push(Entry& entry) {
  Level& level = levels_[entry.sequence.priority];
  const KeyState& key = *entry.key;
  const auto [slot, is_new] = level.lines.try_emplace(&key);
  KeyLine& key_line = slot->second;
  if (is_new) {
    key_line.order = key.order();
    level.keys.emplace(key_line.order, key.index, &key);
  }
  key_line.line.emplace(entry.order, &entry);
  level.total.num_sequences += 1;
  level.total.num_rows += entry.estimated_rows;
  by_arrival_.emplace(entry.order, &entry);
  ++entry.key->num_waiting;
}

void WaitingQueue::erase(Entry& entry) {
  const auto found = levels_.find(entry.sequence.priority);
  Level& level = found->second;
  const KeyState& key = *entry.key;
  KeyLine& key_line = level.lines.at(&key);
  key_line.line.erase(entry.order);
  if (key_line.line.empty()) {
    level.keys.erase({key_line.order, key.index, &key});
    level.lines.erase(&key);
  }
  level.total.num_sequences -= 1;
  level.total.num_rows -= entry.estimated_rows;
  if (level.lines.empty()) levels_.erase(found);
  by_arrival_.erase(entry.order);
  --entry.key->num_waiting;
}

void WaitingQueue::reorder(const KeyState& key) {
  if (key.num_waiting == 0) return;
  for (auto& [priority, level] : levels_) {
    const auto found = level.lines.find(&key);
    if (found == level.lines.end() || found->second.order == key.order()) continue;
    level.keys.erase({found->second.order, key.index, &key});
    found->second.order = key.order();
    level.keys.emplace(found->second.order, key.index, &key);
  }
}

Entry* WaitingQueue::best() const {
  if (levels_.empty()) return nullptr;
  const Level& level = levels_.begin()->second;
  const KeyState* key = std::get<2>(*level.keys.begin());
  return level.lines.at(key).line.begin()->second;
}

Entry* WaitingQueue::oldest() const {
  return by_arrival_.empty() ? nullptr : by_arrival_.begin()->second;
}

WaitingQueue::Ahead WaitingQueue::ahead_of(int priority) const {
  Ahead ahead;
  for (const auto& [level_priority, level] : levels_) {
    if (level_priority < priority) break;
    ahead.num_sequences += level.total.num_sequences;
    ahead.num_rows += level.total.num_rows;
  }
  return ahead;
}

}  // namespace mlxs
