// The tree's shape, its pages and their eviction. What matches is found in prefix_match.cpp.
//
// Why the oldest page of a group without a window has no page below it: a sequence holds its whole
// path in such a group and gives it back from its end, so an ancestor always becomes evictable
// after its descendants.
#include "cache/prefix_tree.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cache/lru_list.h"
#include "cache/page_key.h"
#include "cache/page_layout.h"
#include "cache/page_pool.h"

namespace mlxs {
namespace {

// A key takes about 64 bytes with its place in the hash table.
constexpr std::size_t kMinEvictedKeys = 1024;
constexpr std::size_t kMaxEvictedKeys = 65536;

std::size_t num_evicted_keys(const CacheLayout& layout) {
  std::size_t num_pages = 0;
  for (const PageGroup& group : layout.groups)
    num_pages += static_cast<std::size_t>(group.num_pages);
  return std::clamp(4 * num_pages, kMinEvictedKeys, kMaxEvictedKeys);
}

bool is_needed(const PrefixNode& node) {
  return node.claimant || node.num_users > 0 || !node.children.empty() ||
         std::ranges::any_of(node.pages, [](std::int32_t page) { return page != kNoPage; });
}

}  // namespace

bool ByTokens::operator()(const Child& a, const Child& b) const {
  return std::ranges::lexicographical_compare(a->tokens, b->tokens);
}
bool ByTokens::operator()(const Child& a, Tokens b) const {
  return std::ranges::lexicographical_compare(a->tokens, b);
}
bool ByTokens::operator()(Tokens a, const Child& b) const {
  return std::ranges::lexicographical_compare(a, b->tokens);
}

PrefixTree::PrefixTree(const CacheLayout& layout, std::vector<PagePool>& pools)
    : layout_(layout), pools_(pools), evicted_(num_evicted_keys(layout)) {
  for (const PageGroup& group : layout_.groups) {
    node_of_page_.emplace_back(static_cast<std::size_t>(group.num_pages), nullptr);
    evictable_.emplace_back(group.num_pages);
  }
}

// A long text is a deep tree: taking it apart by recursion could overflow the stack.
PrefixTree::~PrefixTree() {
  std::vector<std::unique_ptr<PrefixNode>> nodes;
  nodes.reserve(roots_.size());
  for (auto& [salt, root] : roots_) nodes.push_back(std::move(root));
  while (!nodes.empty()) {
    const std::unique_ptr<PrefixNode> node = std::move(nodes.back());
    nodes.pop_back();
    while (!node->children.empty()) {
      nodes.push_back(std::move(node->children.extract(node->children.begin()).value()));
    }
  }
}

PrefixNode* PrefixTree::use_root(std::uint64_t salt) {
  std::unique_ptr<PrefixNode>& root = roots_[salt];
  if (!root) {
    root = std::make_unique<PrefixNode>();
    root->salt = salt;
    root->key = root_page_key(salt);
  }
  use(root.get());
  return root.get();
}

void PrefixTree::use(PrefixNode* node) { ++node->num_users; }

void PrefixTree::leave(PrefixNode* node) {
  if (node->num_users == 0) throw std::logic_error("PrefixTree::leave: the node has no user");
  --node->num_users;
  prune(node);
}

PrefixNode* PrefixTree::find_or_add(PrefixNode* parent, std::span<const std::int32_t> page_tokens) {
  if (const auto found = parent->children.find(page_tokens); found != parent->children.end()) {
    return found->get();
  }
  auto node = std::make_unique<PrefixNode>();
  node->parent = parent;
  node->salt = parent->salt;
  node->depth = parent->depth + 1;
  node->key = next_page_key(parent->key, page_tokens);
  node->tokens.assign(page_tokens.begin(), page_tokens.end());
  node->pages.assign(num_groups(), kNoPage);
  PrefixNode* const result = node.get();
  result->place = parent->children.insert(std::move(node)).first;
  return result;
}

// Removes `node` and its ancestors as far as nothing needs them. RETURNS: the first one that stays;
// null where all went.
PrefixNode* PrefixTree::prune(PrefixNode* node) {
  while (node != nullptr && !is_needed(*node)) {
    PrefixNode* const parent = node->parent;
    if (node->was_computed) evicted_.remember(node->key);
    if (parent == nullptr) {
      roots_.erase(node->salt);
    } else {
      parent->children.erase(node->place);
    }
    node = parent;
  }
  return node;
}

PrefixNode* PrefixTree::claim(
    PrefixNode* node, std::span<const std::int32_t> tokens, SequenceId id
) {
  PrefixNode* last = nullptr;
  for (; tokens.size() >= page_size(); tokens = tokens.subspan(page_size())) {
    node = find_or_add(node, tokens.first(page_size()));
    if (node->claimant || is_complete(*node)) continue;
    node->claimant = id;
    last = node;
  }
  return last;
}

void PrefixTree::give_up(PrefixNode* last, int floor_depth, SequenceId id) {
  for (PrefixNode* node = last; node->depth > floor_depth; node = node->parent) {
    if (node->claimant == id) node->claimant.reset();
  }
  prune(last);
}

PrefixNode* PrefixTree::commit(
    PrefixNode* parent,
    std::span<const std::int32_t> page_tokens,
    std::span<std::int32_t> pages,
    SequenceId id
) {
  PrefixNode* const node = find_or_add(parent, page_tokens);
  for (std::size_t group = 0; group < num_groups(); ++group) {
    std::int32_t& mine = pages[group];
    std::int32_t& shared = node->pages[group];
    if (mine == kNoPage || mine == shared) continue;
    const int index = static_cast<int>(group);
    if (shared != kNoPage) {
      hold({.group = index, .page = shared});
      let_go({.group = index, .page = mine});
      mine = shared;
      continue;
    }
    pools_[group].retain(mine);
    node_of_page_[group][static_cast<std::size_t>(mine)] = node;
    shared = mine;
    node->brought_by = id;
    node->was_computed = true;
  }
  if (node->claimant == id) node->claimant.reset();
  return node;
}

void PrefixTree::leave_and_discard(PrefixNode* node, int floor_depth, SequenceId id) {
  --node->num_users;
  while (node != nullptr && node->depth > floor_depth && node->brought_by == id) {
    if (!is_unshared(*node)) break;
    node->was_computed = false;  // it did not have to make room
    for (std::size_t group = 0; group < num_groups(); ++group) {
      if (node->pages[group] != kNoPage) detach(*node, group);
    }
    node = prune(node);
  }
  prune(node);
}

// RETURNS: whether nothing but the tree needs the node.
bool PrefixTree::is_unshared(const PrefixNode& node) const {
  if (node.claimant || node.num_users > 0 || !node.children.empty()) return false;
  for (std::size_t group = 0; group < num_groups(); ++group) {
    const std::int32_t page = node.pages[group];
    if (page != kNoPage && pools_[group].ref_count(page) > 1) return false;
  }
  return true;
}

void PrefixTree::hold(PageRef ref) {
  LruList& evictable = evictable_.at(static_cast<std::size_t>(ref.group));
  if (evictable.contains(ref.page)) evictable.remove(ref.page);
  pools_[static_cast<std::size_t>(ref.group)].retain(ref.page);
}

void PrefixTree::let_go(PageRef ref) {
  const auto group = static_cast<std::size_t>(ref.group);
  const int num_holders = pools_.at(group).release(ref.page);
  if (num_holders == 1 && node_of_page_[group][static_cast<std::size_t>(ref.page)] != nullptr) {
    evictable_[group].push_newest(ref.page);
  }
}

std::int32_t PrefixTree::allocate(int group) {
  PagePool& pool = pools_.at(static_cast<std::size_t>(group));
  if (pool.num_free() == 0) evict_one(group);
  const auto page = pool.allocate();
  if (!page) throw std::logic_error("PrefixTree::allocate: an eviction freed no page");
  return *page;
}

int PrefixTree::num_evictable(int group) const {
  return evictable_.at(static_cast<std::size_t>(group)).size();
}

void PrefixTree::evict_one(int group) {
  const auto index = static_cast<std::size_t>(group);
  const std::int32_t page = evictable_[index].oldest();
  PrefixNode* const node = node_of_page_[index][static_cast<std::size_t>(page)];
  if (layout_.groups[index].window > 0) {
    detach(*node, index);
  } else {
    // Nothing matches beyond a page that is missing here, so its other groups' pages are useless.
    for (std::size_t other = 0; other < num_groups(); ++other) {
      if (node->pages[other] != kNoPage) detach(*node, other);
    }
  }
  prune(node);
}

// The tree gives up its hold of the page of `node`.
void PrefixTree::detach(PrefixNode& node, std::size_t group) {
  const std::int32_t page = std::exchange(node.pages[group], kNoPage);
  if (evictable_[group].contains(page)) evictable_[group].remove(page);
  node_of_page_[group][static_cast<std::size_t>(page)] = nullptr;
  pools_[group].release(page);
}

void PrefixTree::clear() {
  for (int group = 0; group < static_cast<int>(num_groups()); ++group) {
    while (num_evictable(group) > 0) evict_one(group);
  }
}

}  // namespace mlxs
