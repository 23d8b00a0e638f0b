// Checks the prefix tree against the pools and the sequences, by counting everything anew.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "cache/lru_list.h"
#include "cache/page_key.h"
#include "cache/page_layout.h"
#include "cache/prefix_tree.h"

namespace mlxs {
namespace {

void require(bool holds, const char* invariant) {
  if (!holds) throw std::logic_error(fmt::format("KvCache::check: not true: {}", invariant));
}

}  // namespace

void PrefixTree::check_node(const PrefixNode& node) const {
  for (const auto& child : node.children) {
    require(child->parent == &node && child->place->get() == child.get(), "children have parents");
    require(child->depth == node.depth + 1 && child->salt == node.salt, "a child is one deeper");
    require(child->tokens.size() == page_size(), "a node has one page of tokens");
    require(child->key == next_page_key(node.key, child->tokens), "a key follows its parent's");
  }
  const auto is_page = [](std::int32_t page) { return page != kNoPage; };
  const bool is_needed = node.claimant || node.num_users > 0 || !node.children.empty();
  require(is_needed || std::ranges::any_of(node.pages, is_page), "every node is needed");
  for (std::size_t group = 0; group < node.pages.size(); ++group) {
    const std::int32_t page = node.pages[group];
    if (page == kNoPage) continue;
    const bool is_known = node_of_page_[group].at(static_cast<std::size_t>(page)) == &node;
    require(is_known, "a page in the tree knows its node");
    const bool is_top = node.depth == 1 || layout_.groups[group].window > 0;
    require(is_top || is_page(node.parent->pages[group]), "no page without its parent's");
    require(node.was_computed, "a page was computed");
  }
}

void PrefixTree::check(const std::vector<std::vector<int>>& held) const {
  std::vector<const PrefixNode*> nodes;
  nodes.reserve(roots_.size());
  for (const auto& [salt, root] : roots_) nodes.push_back(root.get());
  std::size_t num_in_tree = 0;
  while (!nodes.empty()) {
    const PrefixNode& node = *nodes.back();
    nodes.pop_back();
    check_node(node);
    num_in_tree += static_cast<std::size_t>(
        std::ranges::count_if(node.pages, [](std::int32_t page) { return page != kNoPage; })
    );
    for (const auto& child : node.children) nodes.push_back(child.get());
  }
  for (std::size_t group = 0; group < num_groups(); ++group) {
    int num_free = 0;
    for (int page = 0; page < layout_.groups[group].num_pages; ++page) {
      const auto index = static_cast<std::size_t>(page);
      const bool is_in_tree = node_of_page_[group][index] != nullptr;
      const int num_holders = held[group][index] + (is_in_tree ? 1 : 0);
      require(pools_[group].ref_count(page) == num_holders, "a page's count is its holders");
      const bool is_evictable = is_in_tree && held[group][index] == 0;
      require(evictable_[group].contains(page) == is_evictable, "what only the tree holds can go");
      if (num_holders == 0) ++num_free;
      if (is_in_tree) --num_in_tree;
    }
    require(pools_[group].num_free() == num_free, "what nobody holds is free");
    if (layout_.groups[group].window == 0) check_order(group);
  }
  require(num_in_tree == 0, "every page of the tree is one of a pool, once");
}

// Descendants are older than their ancestors, so that no eviction leaves a hole.
void PrefixTree::check_order(std::size_t group) const {
  const LruList& list = evictable_[group];
  std::vector<bool> is_older(node_of_page_[group].size(), false);
  for (std::int32_t page = list.size() == 0 ? kNoPage : list.oldest(); page >= 0;
       page = list.next_newer(page)) {
    const auto index = static_cast<std::size_t>(page);
    is_older[index] = true;
    for (const auto& child : node_of_page_[group][index]->children) {
      const std::int32_t below = child->pages[group];
      const bool is_before = below == kNoPage || is_older[static_cast<std::size_t>(below)];
      require(is_before, "pages are evicted from the ends of texts");
    }
  }
}

}  // namespace mlxs
