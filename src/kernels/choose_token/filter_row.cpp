// Candidates stay in the order of ids, as the draw wants them; a filter that needs another order
// sorts a copy, only as far as it has to, and what it finds is where to cut.
#include "kernels/choose_token/filter_row.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "mlx_serving/sampling.h"

namespace mlxs {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kFirstSorted = 256;

struct Candidate {
  float logit = 0.0F;
  std::int32_t id = 0;
};

// Of equal logits the lower id is the better one.
bool is_better(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

// Hands out the elements of a copy in order, sorting it in growing pieces.
template <typename Element, typename Before>
class SortedWalk {
 public:
  SortedWalk(std::vector<Element> elements, Before before)
      : elements_(std::move(elements)), before_(before) {}

  const Element& at(std::size_t rank) {
    while (rank >= num_sorted_) sort_more();
    return elements_[rank];
  }

 private:
  void sort_more() {
    const auto begin = elements_.begin() + static_cast<std::ptrdiff_t>(num_sorted_);
    const std::size_t wanted = std::min(elements_.size(), std::max(kFirstSorted, num_sorted_ * 4));
    const auto end = elements_.begin() + static_cast<std::ptrdiff_t>(wanted);
    if (wanted < elements_.size()) std::nth_element(begin, end, elements_.end(), before_);
    std::sort(begin, end, before_);
    num_sorted_ = wanted;
  }

  std::vector<Element> elements_;
  Before before_;
  std::size_t num_sorted_ = 0;
};

using BestFirst = SortedWalk<Candidate, decltype(&is_better)>;

class RowFilters {
 public:
  RowFilters(std::span<const float> logits, const FilterRule& rule) : rule_(rule) {
    kept_.reserve(logits.size());
    for (std::size_t id = 0; id < logits.size(); ++id) {
      if (logits[id] > -kInfinity)
        kept_.push_back({.logit = logits[id], .id = static_cast<std::int32_t>(id)});
    }
    vocab_size_ = logits.size();
  }

  FilteredToken run(std::span<float> kept_logits) {
    if (kept_.empty() || !std::isfinite(largest())) return {};
    for (std::size_t i = 0; i < rule_.num_filters; ++i) apply(rule_.order[i]);
    if (rule_.mirostat == 1) apply_mirostat_1();
    if (rule_.mirostat == 2) apply_mirostat_2();
    if (!kept_logits.empty()) {
      std::ranges::fill(kept_logits, -kInfinity);
      for (const Candidate& candidate : kept_)
        kept_logits[static_cast<std::size_t>(candidate.id)] = candidate.logit;
    }
    return draw();
  }

 private:
  void apply(SamplerKind kind) {
    switch (kind) {
      case SamplerKind::temperature:
        return apply_temperature();
      case SamplerKind::top_n_sigma:
        return apply_top_n_sigma();
      case SamplerKind::top_k:
        return apply_top_k();
      case SamplerKind::typical_p:
        return apply_typical_p();
      case SamplerKind::top_p:
        return apply_top_p();
      case SamplerKind::min_p:
        return keep_above(largest() + std::log(rule_.min_p));
      case SamplerKind::xtc:
        return apply_xtc();
    }
  }

  [[nodiscard]] float largest() const {
    float best = -kInfinity;
    for (const Candidate& candidate : kept_) best = std::max(best, candidate.logit);
    return best;
  }

  [[nodiscard]] static double weight(const Candidate& candidate, float best) {
    return std::exp(double{candidate.logit} - double{best});
  }

  [[nodiscard]] double total_weight(float best) const {
    double total = 0.0;
    for (const Candidate& candidate : kept_) total += weight(candidate, best);
    return total;
  }

  // In nats. With l = logit - best, -sum p log p is log(total) - sum p l.
  [[nodiscard]] double entropy(float best, double total) const {
    double mean = 0.0;
    for (const Candidate& candidate : kept_)
      mean += weight(candidate, best) * (double{candidate.logit} - double{best});
    return std::log(total) - mean / total;
  }

  void keep_above(float threshold) {
    std::erase_if(kept_, [threshold](const Candidate& candidate) {
      return candidate.logit < threshold;
    });
  }

  void keep_up_to(const Candidate& last) {
    std::erase_if(kept_, [&last](const Candidate& candidate) {
      return is_better(last, candidate);
    });
  }

  [[nodiscard]] float dynamic_temperature() const {
    if (kept_.size() < 2) return rule_.temperature;
    const float best = largest();
    const double even = std::log(static_cast<double>(kept_.size()));
    const double share = std::clamp(entropy(best, total_weight(best)) / even, 0.0, 1.0);
    const float lowest = std::max(0.0F, rule_.temperature - rule_.dynatemp_range);
    const float highest = rule_.temperature + rule_.dynatemp_range;
    return lowest + (highest - lowest) *
                        static_cast<float>(std::pow(share, double{rule_.dynatemp_exponent}));
  }

  void apply_temperature() {
    const float temperature =
        rule_.dynatemp_range > 0.0F ? dynamic_temperature() : rule_.temperature;
    // So low that the quotient overflows: the best token only.
    if (!std::isfinite(largest() / temperature)) {
      keep_up_to(BestFirst(kept_, is_better).at(0));
      return;
    }
    for (Candidate& candidate : kept_) candidate.logit /= temperature;
  }

  void apply_top_n_sigma() {
    if (rule_.top_n_sigma <= 0.0F) return;
    double sum = 0.0;
    for (const Candidate& candidate : kept_) sum += double{candidate.logit};
    const double mean = sum / static_cast<double>(kept_.size());
    double squares = 0.0;
    for (const Candidate& candidate : kept_) {
      const double difference = double{candidate.logit} - mean;
      squares += difference * difference;
    }
    const double sigma = std::sqrt(squares / static_cast<double>(kept_.size()));
    const double threshold = double{largest()} - double{rule_.top_n_sigma} * sigma;
    std::erase_if(kept_, [threshold](const Candidate& candidate) {
      return double{candidate.logit} < threshold;
    });
  }

  void keep_best(std::size_t count) {
    if (count >= kept_.size()) return;
    std::vector<Candidate> order = kept_;
    const auto last = order.begin() + static_cast<std::ptrdiff_t>(count) - 1;
    std::nth_element(order.begin(), last, order.end(), is_better);
    keep_up_to(*last);
  }

  void apply_top_k() {
    if (rule_.top_k > 0) keep_best(static_cast<std::size_t>(rule_.top_k));
  }

  void apply_top_p() {
    if (rule_.top_p >= 1.0F) return;
    const float best = largest();
    const double wanted = double{rule_.top_p} * total_weight(best);
    BestFirst walk(kept_, is_better);
    double mass = 0.0;
    std::size_t rank = 0;
    while (rank < kept_.size()) {
      mass += weight(walk.at(rank), best);
      if (mass >= wanted) break;
      ++rank;
    }
    if (rank + 1 < kept_.size()) keep_up_to(walk.at(rank));
  }

  void apply_typical_p() {
    if (rule_.typical_p >= 1.0F) return;
    struct Typical {
      double distance = 0.0;
      Candidate candidate;
    };
    const float best = largest();
    const double total = total_weight(best);
    const double expected = entropy(best, total);
    std::vector<Typical> order;
    order.reserve(kept_.size());
    for (const Candidate& candidate : kept_) {
      const double surprise = std::log(total) - (double{candidate.logit} - double{best});
      order.push_back({.distance = std::abs(surprise - expected), .candidate = candidate});
    }
    const auto is_more_typical = [](const Typical& a, const Typical& b) {
      return a.distance < b.distance ||
             (a.distance == b.distance && is_better(a.candidate, b.candidate));
    };
    SortedWalk walk(order, is_more_typical);
    const double wanted = double{rule_.typical_p} * total;
    double mass = 0.0;
    std::size_t rank = 0;
    for (; rank + 1 < order.size(); ++rank) {
      mass += weight(walk.at(rank).candidate, best);
      if (mass >= wanted) break;
    }
    const Typical last = walk.at(rank);
    std::size_t index = 0;
    std::erase_if(kept_, [&](const Candidate&) { return is_more_typical(last, order[index++]); });
  }

  void apply_xtc() {
    if (rule_.xtc_uniform >= rule_.xtc_probability || rule_.xtc_threshold > 0.5F) return;
    const float best = largest();
    const double least = double{rule_.xtc_threshold} * total_weight(best);
    const Candidate* worst = nullptr;  // of those that are likely enough
    int num_likely = 0;
    for (const Candidate& candidate : kept_) {
      if (weight(candidate, best) < least) continue;
      ++num_likely;
      if (worst == nullptr || is_better(*worst, candidate)) worst = &candidate;
    }
    if (num_likely < 2) return;
    const Candidate last = *worst;
    std::erase_if(kept_, [&last](const Candidate& candidate) {
      return is_better(candidate, last);
    });
  }

  // Estimates Zipf's exponent from the best tokens, and from that how many keep the surprise at mu.
  void apply_mirostat_1() {
    constexpr std::size_t kNumEstimated = 100;
    BestFirst walk(kept_, is_better);
    const std::size_t num_used = std::min(kNumEstimated, kept_.size());
    double products = 0.0;
    double squares = 0.0;
    for (std::size_t i = 0; i + 1 < num_used; ++i) {
      const double rank_ratio = std::log(static_cast<double>(i + 2) / static_cast<double>(i + 1));
      const double ratio = double{walk.at(i).logit} - double{walk.at(i + 1).logit};
      products += rank_ratio * ratio;
      squares += rank_ratio * rank_ratio;
    }
    keep_best(mirostat_1_count(squares > 0.0 ? products / squares : 0.0));
  }

  [[nodiscard]] std::size_t mirostat_1_count(double exponent) const {
    const double epsilon = exponent - 1.0;
    const double count = std::pow(
        epsilon * std::exp2(double{rule_.mirostat_mu}) /
            (1.0 - std::pow(static_cast<double>(vocab_size_), -epsilon)),
        1.0 / exponent
    );
    if (!(count >= 1.0)) return 1;  // also what is not a number
    return static_cast<std::size_t>(std::min(count, static_cast<double>(vocab_size_)));
  }

  // Leaves out what is more surprising than mu; the best token always stays.
  void apply_mirostat_2() {
    const float best = largest();
    const double least = std::exp2(-double{rule_.mirostat_mu}) * total_weight(best);
    std::erase_if(kept_, [&](const Candidate& candidate) {
      return candidate.logit < best && weight(candidate, best) < least;
    });
  }

  [[nodiscard]] FilteredToken draw() const {
    const float best = largest();
    const double total = total_weight(best);
    const double wanted = double{rule_.uniform} * total;
    double sum = 0.0;
    const Candidate* drawn = &kept_.front();
    for (const Candidate& candidate : kept_) {
      const double added = weight(candidate, best);
      if (added <= 0.0) continue;
      drawn = &candidate;
      sum += added;
      if (sum > wanted) break;
    }
    return {
        .token = drawn->id, .surprise = static_cast<float>(-std::log2(weight(*drawn, best) / total))
    };
  }

  const FilterRule& rule_;
  std::vector<Candidate> kept_;
  std::size_t vocab_size_ = 0;
};

}  // namespace

FilteredToken filter_row(
    std::span<const float> logits, const FilterRule& rule, std::span<float> kept
) {
  return RowFilters(logits, rule).run(kept);
}

}  // namespace mlxs
