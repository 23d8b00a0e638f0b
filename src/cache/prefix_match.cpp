// What of a prompt is in the tree, how far others are computing it, and why it ends there.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <vector>

#include "cache/page_key.h"
#include "cache/page_layout.h"
#include "cache/prefix_lookup.h"
#include "cache/prefix_tree.h"

namespace mlxs {
namespace {

// A page that matches by less than this share of its tokens is not worth its copy.
constexpr std::size_t kMinPartialShare = 4;

std::size_t common_length(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

}  // namespace

struct PrefixTree::Walk {
  std::span<const std::int32_t> tokens = {};
  std::uint64_t salt = 0;
  PrefixNode* root = nullptr;
  std::vector<PrefixNode*> path = {};   // path[p] has the tokens of page p, with or without pages
  PrefixNode* nearest = nullptr;        // the child after path that shares most of the next tokens
  std::size_t nearest_length = 0;       // how many of them
  std::vector<int> first_present = {};  // [group]: pages from here to the last one seen are there
  std::size_t num_known = 0;            // pages at the beginning that are cached or in flight
  Match match = {};

  [[nodiscard]] PrefixNode* last() const { return path.empty() ? root : path.back(); }
  [[nodiscard]] int max_tokens() const { return static_cast<int>(tokens.size()) - 1; }
};

bool PrefixTree::is_complete(const PrefixNode& node) const {
  return std::ranges::none_of(node.pages, [](std::int32_t page) { return page == kNoPage; });
}

bool PrefixTree::has_full_pages(const PrefixNode& node) const {
  for (std::size_t group = 0; group < num_groups(); ++group) {
    if (layout_.groups[group].window == 0 && node.pages[group] == kNoPage) return false;
  }
  return true;
}

PrefixTree::Match PrefixTree::match(std::span<const std::int32_t> tokens, std::uint64_t salt)
    const {
  Walk found = walk(tokens, salt);
  find_usable(found);
  find_in_flight(found);
  find_miss(found);
  return found.match;
}

PrefixTree::Walk PrefixTree::walk(std::span<const std::int32_t> tokens, std::uint64_t salt) const {
  Walk result{.tokens = tokens, .salt = salt};
  const auto root = roots_.find(salt);
  if (root == roots_.end()) return result;
  result.root = root->second.get();
  auto rest = tokens;
  for (; rest.size() >= page_size(); rest = rest.subspan(page_size())) {
    const auto& children = result.last()->children;
    const auto child = children.find(rest.first(page_size()));
    if (child == children.end()) break;
    result.path.push_back(child->get());
  }
  const auto& children = result.last()->children;
  const auto after = children.lower_bound(rest);
  const auto consider = [&](PrefixNode* node) {
    const std::size_t length = common_length(rest, node->tokens);
    if (length <= result.nearest_length) return;
    result.nearest = node;
    result.nearest_length = length;
  };
  if (after != children.end()) consider(after->get());
  if (after != children.begin()) consider(std::prev(after)->get());
  return result;
}

// The longest beginning whose pages are all there: in groups without a window all of them, in
// groups with one those that its next token sees.
void PrefixTree::find_usable(Walk& walk) const {
  walk.match.node = walk.root;
  walk.first_present.assign(num_groups(), 0);
  const auto offer = [&](PrefixNode* node, int num_pages, int num_tokens) {
    if (!has_full_pages(*node)) return false;
    bool is_usable = num_tokens > walk.match.result.cached_tokens;
    for (std::size_t group = 0; group < num_groups(); ++group) {
      if (node->pages[group] == kNoPage) walk.first_present[group] = num_pages;
      const int window = layout_.groups[group].window;
      const int first_seen = first_visible_page(num_tokens, window, layout_.page_size);
      is_usable = is_usable && first_seen >= walk.first_present[group];
    }
    if (!is_usable) return true;
    walk.match.result.cached_tokens = num_tokens;
    const bool is_whole = num_tokens == num_pages * layout_.page_size;
    walk.match.node = is_whole ? node : node->parent;
    walk.match.partial = is_whole ? nullptr : node;
    return true;
  };
  int num_pages = 0;
  for (PrefixNode* node : walk.path) {
    ++num_pages;
    if (!offer(node, num_pages, std::min(num_pages * layout_.page_size, walk.max_tokens()))) return;
  }
  if (walk.nearest_length * kMinPartialShare < page_size() || walk.nearest == nullptr) return;
  const int length = num_pages * layout_.page_size + static_cast<int>(walk.nearest_length);
  offer(walk.nearest, num_pages + 1, std::min(length, walk.max_tokens()));
}

void PrefixTree::find_in_flight(Walk& walk) const {
  PrefixLookup& result = walk.match.result;
  std::size_t num_pages = static_cast<std::size_t>(result.cached_tokens) / page_size();
  walk.num_known = num_pages;
  // Between claimed pages there may be some that are there already.
  for (; num_pages < walk.path.size(); ++num_pages) {
    const PrefixNode& node = *walk.path[num_pages];
    if (node.claimant) walk.num_known = num_pages + 1;
    if (!node.claimant && !is_complete(node)) break;
  }
  const int num_tokens =
      std::min(static_cast<int>(walk.num_known) * layout_.page_size, walk.max_tokens());
  result.in_flight_tokens = std::max(0, num_tokens - result.cached_tokens);
}

void PrefixTree::find_miss(Walk& walk) const {
  PrefixLookup& result = walk.match.result;
  if (result.cached_tokens + result.in_flight_tokens >= walk.max_tokens()) return;
  const auto rest = walk.tokens.subspan(walk.num_known * page_size());
  std::size_t position = walk.num_known * page_size();
  if (walk.num_known < walk.path.size()) {
    if (walk.path[walk.num_known]->was_computed) {
      result.miss = MissReason::evicted;
      return;
    }
  } else {
    const PageKey parent = walk.root == nullptr ? root_page_key(walk.salt) : walk.last()->key;
    if (rest.size() >= page_size() &&
        evicted_.contains(next_page_key(parent, rest.first(page_size())))) {
      result.miss = MissReason::evicted;
      return;
    }
    position += walk.nearest_length;
  }
  if (position >= walk.tokens.size()) return;
  const bool is_salt_unknown = walk.root == nullptr || walk.root->children.empty();
  if (position == 0 && walk.salt != 0 && is_salt_unknown) {
    result.miss = MissReason::salted;
    return;
  }
  result.miss = position == 0 ? MissReason::first_token : MissReason::diverged;
  result.first_differing_token = static_cast<int>(position);
}

}  // namespace mlxs
