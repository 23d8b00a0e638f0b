// Tokens are counted and weighed by their distance from the best one, so that only those of one
// bucket, where top_k or top_p ends, are sorted.
#include "kernels/choose_token/choose_row.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "kernels/choose_token/token_kernel.h"
#include "kernels/cpu/cpu_path.h"

namespace mlxs {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kBucketsPerUnit = 64.0F;  // of the logit; what is further than 32 is one bucket

// Tokens better than a bucket, and their weight.
struct Better {
  std::int64_t count = 0;
  double mass = 0.0;
};

class RowChoice {
 public:
  RowChoice(
      const TokenKernels& kernels,
      std::span<const float> logits,
      const TokenRule& rule,
      ChooseScratch& scratch
  )
      : kernels_(kernels),
        logits_(logits),
        rule_(rule),
        scratch_(scratch),
        size_(static_cast<int>(logits.size())) {}

  std::int32_t run() {
    const RowScan scan = kernels_.scan(logits_.data(), size_);
    if (scan.has_invalid || scan.largest == -kInfinity) return 0;
    best_ = kernels_.find(logits_.data(), size_, scan.largest);
    if (rule_.temperature == 0.0F) return best_;
    weigh_.temperature = rule_.temperature;
    weigh_.largest = scan.largest / rule_.temperature;
    // A temperature so low that the quotient overflows leaves the best token only.
    if (!std::isfinite(weigh_.largest)) return best_;
    weigh_.threshold = -kInfinity;
    const bool has_top_k = rule_.top_k > 0 && rule_.top_k < size_;
    if (has_top_k || rule_.top_p < 1.0F) keep_best();
    if (rule_.min_p > 0.0F) keep_likely();
    return draw();
  }

 private:
  [[nodiscard]] float scaled(std::int32_t id) const {
    return logits_[static_cast<std::size_t>(id)] / rule_.temperature;
  }

  [[nodiscard]] std::size_t bucket_of(std::int32_t id) const {
    const float distance = (weigh_.largest - scaled(id)) * kBucketsPerUnit;
    constexpr int kLast = ChooseScratch::kNumBuckets - 1;
    return distance < kLast ? static_cast<std::size_t>(distance) : std::size_t{kLast};
  }

  template <typename Body>
  void for_blocks(const Body& body) {
    for (int first = 0; first < size_; first += ChooseScratch::kBlock) {
      const int count = std::min(ChooseScratch::kBlock, size_ - first);
      const float sum =
          kernels_.weigh(logits_.data() + first, count, first, weigh_, scratch_.weights);
      body(first, count, sum);
    }
  }

  void fill_buckets() {
    std::ranges::fill(scratch_.masses, 0.0);
    std::ranges::fill(scratch_.counts, 0);
    for_blocks([this](int first, int count, float /*sum*/) {
      for (int i = 0; i < count; ++i) {
        const std::size_t bucket = bucket_of(first + i);
        scratch_.masses[bucket] += double{scratch_.weights[i]};
        ++scratch_.counts[bucket];
      }
    });
  }

  // RETURNS: the tokens of a bucket, the best first.
  std::span<std::int32_t> sorted_bucket(std::size_t bucket) {
    std::size_t count = 0;
    for (std::int32_t id = 0; id < size_; ++id) {
      if (bucket_of(id) == bucket) scratch_.ids[count++] = id;
    }
    const std::span<std::int32_t> ids = scratch_.ids.first(count);
    std::ranges::sort(ids, [this](std::int32_t a, std::int32_t b) {
      const float first = scaled(a);
      const float second = scaled(b);
      return first > second || (first == second && a < b);
    });
    return ids;
  }

  void set_last(std::int32_t id) {
    weigh_.threshold = scaled(id);
    weigh_.last_equal_id = id;
  }

  void keep_best() {
    fill_buckets();
    double total = 0.0;  // of the tokens that top_k leaves
    const bool has_top_k = rule_.top_k > 0 && rule_.top_k < size_;
    if (has_top_k) {
      total = keep_top_k();
    } else {
      for (const double mass : scratch_.masses) total += mass;
    }
    if (rule_.top_p < 1.0F) keep_top_p(total);
  }

  // RETURNS: the weight of what is kept. The buckets behind the last kept token are emptied.
  double keep_top_k() {
    Better better;
    std::size_t bucket = 0;
    while (better.count + scratch_.counts[bucket] < rule_.top_k) {
      better.count += scratch_.counts[bucket];
      better.mass += scratch_.masses[bucket];
      ++bucket;
    }
    const std::span<std::int32_t> ids = sorted_bucket(bucket);
    const auto num_kept = static_cast<std::size_t>(rule_.top_k - better.count);
    double mass = 0.0;
    for (const std::int32_t id : ids.first(num_kept)) mass += weight(id);
    set_last(ids[num_kept - 1]);
    scratch_.masses[bucket] = mass;
    last_bucket_ = bucket;
    return better.mass + mass;
  }

  [[nodiscard]] double weight(std::int32_t id) const {
    return double{std::exp(scaled(id) - weigh_.largest)};
  }

  // The smallest set of best tokens with at least this share of the weight.
  void keep_top_p(double total) {
    const double wanted = double{rule_.top_p} * total;
    double before = 0.0;
    std::int32_t last = -1;
    std::size_t bucket = 0;
    while (bucket < last_bucket_ && before + scratch_.masses[bucket] < wanted)
      before += scratch_.masses[bucket++];
    // Rounding may leave the sum below what is wanted at the bucket's end: that is the end then.
    for (const std::int32_t id : sorted_bucket(bucket)) {
      if (is_behind(id)) return;
      before += weight(id);
      last = id;
      if (before >= wanted) break;
    }
    if (last >= 0) set_last(last);
  }

  // Whether top_k has left the token out.
  [[nodiscard]] bool is_behind(std::int32_t id) const {
    const float value = scaled(id);
    return value < weigh_.threshold ||
           (value == weigh_.threshold && weigh_.threshold != -kInfinity && id > weigh_.last_equal_id
           );
  }

  void keep_likely() {
    const float threshold = weigh_.largest + std::log(rule_.min_p);
    if (threshold <= weigh_.threshold) return;
    weigh_.threshold = threshold;
    weigh_.last_equal_id = size_;
  }

  std::int32_t draw() {
    double total = 0.0;
    for_blocks([this, &total](int first, int /*count*/, float sum) {
      scratch_.block_sums[static_cast<std::size_t>(first / ChooseScratch::kBlock)] = double{sum};
      total += double{sum};
    });
    const double wanted = double{rule_.uniform} * total;
    double before = 0.0;
    int block = 0;
    const int num_blocks = (size_ + ChooseScratch::kBlock - 1) / ChooseScratch::kBlock;
    while (block + 1 < num_blocks) {
      const double sum = scratch_.block_sums[static_cast<std::size_t>(block)];
      if (before + sum > wanted) break;
      before += sum;
      ++block;
    }
    return draw_from(block, wanted - before);
  }

  // The sums of blocks are rounded otherwise than the sum here: where the wanted weight lies behind
  // the block's last token, that one is drawn.
  std::int32_t draw_from(int block, double wanted) {
    for (; block >= 0; --block) {
      const int first = block * ChooseScratch::kBlock;
      const int count = std::min(ChooseScratch::kBlock, size_ - first);
      (void)kernels_.weigh(logits_.data() + first, count, first, weigh_, scratch_.weights);
      double sum = 0.0;
      std::int32_t last = -1;
      for (int i = 0; i < count; ++i) {
        if (scratch_.weights[i] <= 0.0F) continue;
        last = first + i;
        sum += double{scratch_.weights[i]};
        if (sum > wanted) return last;
      }
      if (last >= 0) return last;
    }
    return best_;
  }

  const TokenKernels& kernels_;
  std::span<const float> logits_;
  const TokenRule& rule_;
  ChooseScratch& scratch_;
  int size_;
  std::int32_t best_ = 0;
  WeighRule weigh_;
  std::size_t last_bucket_ = ChooseScratch::kNumBuckets - 1;
};

}  // namespace

const TokenKernels& token_kernels(CpuPath path) {
  switch (path) {
#if defined(__x86_64__)
    case CpuPath::avx2:
      return kTokenAvx2;
    case CpuPath::avx512:
    case CpuPath::avx512_vnni:
      return kTokenAvx512;
#endif
    default:
      return kTokenBaseline;
  }
}

std::int32_t choose_row(
    const TokenKernels& kernels,
    std::span<const float> logits,
    const TokenRule& rule,
    ChooseScratch& scratch
) {
  return RowChoice(kernels, logits, rule, scratch).run();
}

}  // namespace mlxs
