// The device of the tests. Whatever a step reads and does not find as it must be is an error of the
// step, as a device's error would be.
#include "engine/testing/fake_runner.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "base/fault_point.h"
#include "cache/page_layout.h"
#include "engine/batch.h"
#include "engine/mask_job.h"
#include "engine/runner.h"

namespace mlxs {
namespace {

constexpr std::int32_t kEmpty = -1;
constexpr std::size_t kStepsKept = 8;  // at least as many as can be in flight

// FNV-1a over the ids, http://www.isthe.com/chongo/tech/comp/fnv/.
std::uint64_t hash_of(std::span<const std::int32_t> token_ids, std::uint64_t seed) {
  std::uint64_t hash = 14695981039346656037ULL ^ seed;
  for (const std::int32_t id : token_ids)
    hash = (hash ^ static_cast<std::uint32_t>(id)) * 1099511628211ULL;
  return hash;
}

}  // namespace

CacheLayout FakeRunnerOptions::layout() const {
  if (groups.empty()) return {.page_size = page_size, .groups = {{.num_pages = num_pages}}};
  return {.page_size = page_size, .groups = groups};
}

// A batch with storage of its own for all that it points to.
struct FakeRunner::Step {
  explicit Step(const Batch& from) : batch(from) {
    for (BatchSlice& slice : batch.slices) {
      tables.push_back(*slice.pages);
      slice.pages = &tables.back();
    }
    for (BatchSample& sample : batch.samples) {
      sample.params = &params.emplace_back(*sample.params);
      sample.prompt_ids = ids.emplace_back(sample.prompt_ids.begin(), sample.prompt_ids.end());
      sample.output_ids = ids.emplace_back(sample.output_ids.begin(), sample.output_ids.end());
    }
  }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  Batch batch;
  std::deque<PageTables> tables = {};
  std::deque<SamplingParams> params = {};
  std::deque<std::vector<std::int32_t>> ids = {};
  bool has_run = false;
  StepResult result = {};
  std::exception_ptr error = {};
};

class FakeRunner::Handle final : public Submission {
 public:
  Handle(FakeRunner& runner, std::shared_ptr<Step> step)
      : runner_(runner), step_(std::move(step)) {}

  // A step that is not due yet is done only for a caller that waits.
  [[nodiscard]] bool wait_for(std::chrono::nanoseconds timeout) override {
    if (timeout > std::chrono::nanoseconds(0)) runner_.run_until(*step_);
    return step_->has_run;
  }

  [[nodiscard]] StepResult take() override {
    if (step_->error) std::rethrow_exception(step_->error);
    return step_->result;
  }

 private:
  FakeRunner& runner_;
  std::shared_ptr<Step> step_;
};

FakeRunner::FakeRunner(FakeRunnerOptions options)
    : options_(std::move(options)), layout_(options_.layout()) {
  for (const PageGroup& group : layout_.groups) {
    slots_.emplace_back(
        static_cast<std::size_t>(group.num_pages) * static_cast<std::size_t>(layout_.page_size),
        kEmpty
    );
  }
}

FakeRunner::~FakeRunner() = default;

std::int32_t FakeRunner::next_token(std::span<const std::int32_t> token_ids, std::uint64_t seed) {
  return 'a' + static_cast<std::int32_t>((hash_of(token_ids, seed) >> 32U) % 26U);
}

std::int32_t FakeRunner::allowed_token(
    std::span<const std::uint32_t> mask, std::span<const std::int32_t> token_ids, std::uint64_t seed
) {
  std::vector<std::int32_t> allowed;
  for (std::int32_t id = 0; id < static_cast<std::int32_t>(mask.size() * 32); ++id) {
    const auto index = static_cast<std::size_t>(id);
    if ((mask[index / 32] >> index % 32 & 1U) != 0) allowed.push_back(id);
  }
  if (allowed.empty()) return 0;
  const std::uint64_t hash = hash_of(token_ids, seed) >> 32U;
  return allowed[static_cast<std::size_t>(hash % allowed.size())];
}

std::unique_ptr<Submission> FakeRunner::submit(const Batch& batch) {
  auto step = std::make_shared<Step>(batch);
  steps_.push_back(step);
  while (steps_.size() > kStepsKept && steps_.front()->has_run) steps_.pop_front();
  return std::make_unique<Handle>(*this, std::move(step));
}

void FakeRunner::run_until(const Step& last) {
  for (const auto& step : steps_) {
    if (!step->has_run) {
      step->has_run = true;
      try {
        run(*step);
      } catch (...) {
        step->result = {};
        step->error = std::current_exception();
      }
    }
    if (step.get() == &last) return;
  }
}

std::span<std::int32_t> FakeRunner::page(int group, std::int32_t page) {
  const auto size = static_cast<std::size_t>(layout_.page_size);
  std::vector<std::int32_t>& slots = slots_.at(static_cast<std::size_t>(group));
  const std::size_t first = static_cast<std::size_t>(page) * size;
  if (page < 0 || first + size > slots.size())
    throw std::out_of_range(fmt::format("FakeRunner: page {} of group {}", page, group));
  return std::span(slots).subspan(first, size);
}

void FakeRunner::move_pages(const Batch& batch) {
  for (const PageMove& move : batch.swap_out) {
    const auto from = page(move.group, move.page);
    host_slots_[{move.group, move.host_slot}].assign(from.begin(), from.end());
  }
  for (const PageCopy& copy : batch.copies)
    std::ranges::copy(page(copy.group, copy.from), page(copy.group, copy.to).begin());
  for (const PageMove& move : batch.swap_in)
    std::ranges::copy(
        host_slots_.at({move.group, move.host_slot}), page(move.group, move.page).begin()
    );
}

void FakeRunner::feed(Step& step) const {
  for (const TokenFeed& feed : step.batch.feeds) {
    const auto source = std::ranges::find_if(steps_, [&feed](const auto& other) {
      return other->batch.step == feed.step;
    });
    if (source == steps_.end() || !(*source)->has_run)
      throw std::logic_error("FakeRunner: a row is fed by a step that is not there");
    const auto& tokens = (*source)->result.tokens;
    const auto index = static_cast<std::size_t>(feed.sample);
    // After a step that failed, what it would have fed means nothing and is not used.
    step.batch.token_ids.at(static_cast<std::size_t>(feed.row)) =
        index < tokens.size() ? tokens[index].id : kEmpty;
  }
}

void FakeRunner::store(const Step& step, const BatchSlice& slice) {
  for (int i = 0; i < slice.num_rows; ++i) {
    const int position = slice.context_length + i;
    const auto row = static_cast<std::size_t>(slice.first_row) + static_cast<std::size_t>(i);
    if (step.batch.positions.at(row) != position)
      throw std::logic_error("FakeRunner: rows and positions differ");
    const auto entry = static_cast<std::size_t>(position / layout_.page_size);
    for (std::size_t group = 0; group < layout_.groups.size(); ++group) {
      page(
          static_cast<int>(group), slice.pages->groups.at(group).at(entry)
      )[static_cast<std::size_t>(position % layout_.page_size)] = step.batch.token_ids.at(row);
    }
  }
}

std::vector<std::int32_t> FakeRunner::tokens_of(const Step& step, const BatchSample& sample) const {
  std::vector<std::int32_t> ids(sample.prompt_ids.begin(), sample.prompt_ids.end());
  ids.insert(ids.end(), sample.output_ids.begin(), sample.output_ids.end());
  for (const TokenRef& newest : sample.in_flight) {
    const auto source = std::ranges::find_if(steps_, [&newest](const auto& other) {
      return other->batch.step == newest.step;
    });
    if (source == steps_.end() || source->get() == &step)
      throw std::logic_error("FakeRunner: a sample refers to a step that is not there");
    const auto& tokens = (*source)->result.tokens;
    const auto index = static_cast<std::size_t>(newest.sample);
    ids.push_back(index < tokens.size() ? tokens[index].id : kEmpty);
  }
  return ids;
}

void FakeRunner::expect_visible(
    const Step& step, const BatchSample& sample, std::span<const std::int32_t> ids
) const {
  const auto slice = std::ranges::find_if(step.batch.slices, [&sample](const BatchSlice& other) {
    return sample.row >= other.first_row && sample.row < other.first_row + other.num_rows;
  });
  const int position = slice->context_length + sample.row - slice->first_row;
  if (ids.size() != static_cast<std::size_t>(position) + 1)
    throw std::logic_error(fmt::format("FakeRunner: {} has other tokens", sample.sequence));
  for (std::size_t group = 0; group < layout_.groups.size(); ++group) {
    const int window = layout_.groups[group].window;
    for (int at = window > 0 ? std::max(0, position - window + 1) : 0; at <= position; ++at) {
      const auto entry = static_cast<std::size_t>(at / layout_.page_size);
      const auto table_page = static_cast<std::size_t>(slice->pages->groups.at(group).at(entry));
      const std::size_t slot = table_page * static_cast<std::size_t>(layout_.page_size) +
                               static_cast<std::size_t>(at % layout_.page_size);
      if (slots_[group].at(slot) == ids[static_cast<std::size_t>(at)]) continue;
      throw std::logic_error(fmt::format(
          "FakeRunner: sequence {} reads {} at position {} of group {}, its token is {}",
          sample.sequence,
          slots_[group].at(slot),
          at,
          group,
          ids[static_cast<std::size_t>(at)]
      ));
    }
  }
}

// The likeliest tokens are always a, b, c; the rest is made of ids and positions.
void FakeRunner::tell_extras(Step& step) {
  const auto told = [](std::int32_t id, int num_top, std::span<const std::int32_t> named) {
    TokenLogprobs logprobs{.id = id, .logprob = -0.5F, .rank = 1};
    const auto count = named.empty() ? static_cast<std::size_t>(num_top) : named.size();
    for (std::size_t i = 0; i < count; ++i) {
      const std::int32_t other = named.empty() ? 'a' + static_cast<std::int32_t>(i) : named[i];
      logprobs.top.push_back({.id = other, .logprob = -0.5F - static_cast<float>(i)});
    }
    return logprobs;
  };
  for (std::size_t i = 0; i < step.result.tokens.size(); ++i) {
    const LogprobParams& params = step.batch.samples[i].params->logprobs;
    if (!params.num_top) continue;
    SampledToken& token = step.result.tokens[i];
    token.logprobs =
        std::make_shared<const TokenLogprobs>(told(token.id, *params.num_top, params.token_ids));
  }
  for (const BatchScore& score : step.batch.scores) {
    step.result.prompt_scores.push_back(
        {.sequence = score.sequence,
         .position = score.position,
         .logprobs = told(score.target, score.num_top, {})}
    );
  }
  for (const BatchPool& pool : step.batch.pools) {
    PooledRows rows{.pool = pool, .sum = {0.0F, 0.0F, 0.0F}};
    for (int row = pool.first_row; row < pool.first_row + pool.num_rows; ++row) {
      rows.sum[0] += static_cast<float>(step.batch.token_ids.at(static_cast<std::size_t>(row)));
      rows.sum[1] += static_cast<float>(step.batch.positions.at(static_cast<std::size_t>(row)));
      rows.sum[2] += 1.0F;
    }
    step.result.pools.push_back(std::move(rows));
  }
}

void FakeRunner::run(Step& step) {
  const std::uint64_t number = num_run_++;
  if (options_.before_step) options_.before_step(number);
  std::this_thread::sleep_for(options_.step_time);
  fault_point("runner.forward");
  feed(step);
  move_pages(step.batch);
  for (const BatchSlice& slice : step.batch.slices) store(step, slice);
  fault_point("sampler");
  for (const BatchSample& sample : step.batch.samples) {
    const std::vector<std::int32_t> ids = tokens_of(step, sample);
    const bool is_known = std::ranges::find(ids, kEmpty) == ids.end();
    if (is_known) expect_visible(step, sample, ids);
    const std::size_t num_outputs = sample.output_ids.size() + sample.in_flight.size();
    const bool is_last = options_.num_output_tokens > 0 &&
                         num_outputs + 1 >= static_cast<std::size_t>(options_.num_output_tokens);
    const std::uint64_t seed = sample.params->temperature > 0.0F ? sample.seed : 0;
    step.result.tokens.push_back(
        {.id = sample.mask ? allowed_token(sample.mask->words(), ids, seed)
               : is_last   ? options_.eos_id
                           : next_token(ids, seed),
         .is_finite = !fault_spoils("logits")}
    );
  }
  tell_extras(step);
  if (options_.after_step) options_.after_step(step.batch, step.result);
}

std::vector<std::byte> FakeRunner::read_page(int group, std::int32_t number) {
  if (!steps_.empty()) run_until(*steps_.back());
  const auto ids = page(group, number);
  std::vector<std::byte> content(ids.size_bytes());
  std::memcpy(content.data(), ids.data(), content.size());
  return content;
}

void FakeRunner::write_page(int group, std::int32_t number, std::span<const std::byte> content) {
  if (!steps_.empty()) run_until(*steps_.back());
  const auto ids = page(group, number);
  if (content.size() != ids.size_bytes())
    throw std::invalid_argument("FakeRunner: the content is not a page's");
  std::memcpy(ids.data(), content.data(), content.size());
}

std::int64_t FakeRunner::page_bytes(int /*group*/) const {
  return std::int64_t{layout_.page_size} * static_cast<std::int64_t>(sizeof(std::int32_t));
}

}  // namespace mlxs
