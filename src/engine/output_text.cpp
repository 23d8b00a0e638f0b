// Plain search: the held text is never longer than a delta and the longest stop string together.
#include "engine/output_text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fault_point.h"
#include "text/tokenizer.h"

namespace mlxs {
namespace {

struct FoundStop {
  std::size_t position = std::string_view::npos;
  std::string_view text;
};

// Of two that begin at one place, the first of the list.
FoundStop first_stop(std::string_view text, const std::vector<std::string>& stop) {
  FoundStop first;
  for (const std::string& candidate : stop) {
    const std::size_t position = text.find(candidate);
    if (position < first.position) first = {position, candidate};
  }
  return first;
}

// RETURNS: how many last bytes of `text` are a proper beginning of some stop string.
std::size_t possible_stop(std::string_view text, const std::vector<std::string>& stop) {
  std::size_t longest = 0;
  for (const std::string& candidate : stop) {
    for (std::size_t size = std::min(text.size(), candidate.size() - 1); size > longest; --size) {
      if (text.ends_with(std::string_view(candidate).substr(0, size))) longest = size;
    }
  }
  return longest;
}

}  // namespace

OutputText::OutputText(const Tokenizer& tokenizer, OutputTextOptions options)
    : detokenizer_(tokenizer, options.decode), options_(std::move(options)) {}

std::string OutputText::append(std::int32_t token_id) {
  if (is_stopped_) return {};
  fault_point("detokenizer");
  held_ += detokenizer_.append(token_id);
  if (++num_tokens_ < options_.min_tokens) return std::exchange(held_, {});
  return release();
}

std::string OutputText::release() {
  const FoundStop stop = first_stop(held_, options_.stop);
  is_stopped_ = stop.position != std::string_view::npos;
  stopped_by_ = stop.text;
  const std::size_t stop_end = stop.position + (options_.includes_stop ? stop.text.size() : 0);
  const std::size_t num_shown =
      is_stopped_ ? stop_end : held_.size() - possible_stop(held_, options_.stop);
  std::string shown = held_.substr(0, num_shown);
  held_.erase(0, is_stopped_ ? held_.size() : num_shown);
  return shown;
}

std::string OutputText::finish() {
  if (is_stopped_) return {};
  held_ += detokenizer_.finish();
  std::string shown = release();
  if (!is_stopped_) shown += std::exchange(held_, {});
  return shown;
}

}  // namespace mlxs
