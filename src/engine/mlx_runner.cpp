// A step is enqueued as one graph. What is written in place has to be read before, so whatever
// reads a page's old content is enqueued first.
#include "engine/mlx_runner.h"

#include <mlx/ops.h>
#include <mlx/scheduler.h>
#include <mlx/transforms.h>
#include <mlx/utils.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "base/fault_point.h"
#include "engine/mask_job.h"
#include "engine/mlx_extras.h"
#include "kernels/cpu/cpu_context.h"
#include "kernels/cpu/phase_times.h"
#include "kernels/page_copy/page_copy.h"
#include "sampling/sample.h"

namespace mlxs {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t kStepsKept = 8;  // at least as many as can be in flight

mx::array to_array(const std::vector<std::int32_t>& values) {
  return mx::array(values.data(), {static_cast<int>(values.size())}, mx::int32);
}

mx::array sample_rows(const Batch& batch) {
  std::vector<std::int32_t> rows;
  rows.reserve(batch.samples.size());
  for (const BatchSample& sample : batch.samples) rows.push_back(sample.row);
  return to_array(rows);
}

SamplingBatch sampling_batch(const Batch& batch) {
  SamplingBatch result;
  for (const BatchSample& sample : batch.samples) {
    result.rows.push_back(make_sampling_row(
        *sample.params,
        {.seed = sample.seed,
         .prompt_tokens = sample.prompt_ids,
         .output_tokens = sample.output_ids,
         .num_in_flight = sample.in_flight.size(),
         .rules = sample.rules,
         .mirostat_mu = sample.mirostat_mu}
    ));
    if (sample.mask) result.rows.back().mask = sample.mask->words();
  }
  return result;
}

bool has_masks(const Batch& batch) {
  return std::ranges::any_of(batch.samples, [](const BatchSample& sample) {
    return sample.mask != nullptr;
  });
}

// Rung by the stream's own thread once it has passed everything that was enqueued before.
class StreamSignal {
 public:
  void ring() {
    {
      const std::lock_guard lock(mutex_);
      has_rung_ = true;
    }
    rung_.notify_all();
  }

  [[nodiscard]] bool wait_for(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    return rung_.wait_for(lock, timeout, [this] { return has_rung_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable rung_;
  bool has_rung_ = false;
};

// MLX's streams of a GPU tell of their end only when asked, so they are asked ever less often.
bool poll_until_available(const mx::array& output, std::chrono::nanoseconds timeout) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline = Clock::now() + timeout;
  std::chrono::nanoseconds pause = std::chrono::microseconds(5);
  while (!output.is_available()) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(pause);
    pause = std::min<std::chrono::nanoseconds>(pause * 2, std::chrono::microseconds(50));
  }
  return true;
}

class MlxSubmission final : public Submission {
 public:
  // outputs: what was enqueued; where something is sampled, the first three are tokens, validity
  // and surprises.
  MlxSubmission(
      mx::Stream stream, std::vector<mx::array> outputs, std::size_t num_samples, StepExtras extras
  )
      : stream_(stream),
        outputs_(std::move(outputs)),
        num_samples_(num_samples),
        extras_(std::move(extras)) {
    if (stream_.device == mx::Device::cpu)
      mx::scheduler::enqueue(stream_, [signal = signal_] { signal->ring(); });
  }

  [[nodiscard]] bool wait_for(std::chrono::nanoseconds timeout) override {
    if (stream_.device == mx::Device::cpu) return signal_->wait_for(timeout);
    return poll_until_available(outputs_.back(), timeout);
  }

  [[nodiscard]] StepResult take() override {
    // Throws the errors of the step's own tasks.
    for (mx::array& output : outputs_) output.wait();
    StepResult result;
    if (num_samples_ > 0) read_samples(result);
    extras_.read_into(result);
    return result;
  }

 private:
  void read_samples(StepResult& result) const {
    const auto* tokens = outputs_[0].data<std::int32_t>();
    const auto* is_valid = outputs_[1].data<bool>();
    const auto* surprises = outputs_[2].data<float>();
    for (std::size_t i = 0; i < num_samples_; ++i)
      result.tokens.push_back({.id = tokens[i], .is_finite = is_valid[i], .surprise = surprises[i]}
      );
  }

  mx::Stream stream_;
  std::vector<mx::array> outputs_;
  std::size_t num_samples_;
  StepExtras extras_;
  std::shared_ptr<StreamSignal> signal_ = std::make_shared<StreamSignal>();
};

}  // namespace

MlxRunner::MlxRunner(Model model, KvPages pages)
    : model_(std::move(model)), pages_(std::move(pages)) {}

const mx::array& MlxRunner::sampled_in(std::uint64_t step) const {
  const auto found = std::ranges::find(sampled_, step, &Sampled::step);
  if (found == sampled_.end())
    throw std::logic_error(fmt::format("[runner] a row is fed by step {}, which is gone", step));
  return found->tokens;
}

BatchView MlxRunner::view_of(const Batch& batch) const {
  std::vector<SequenceView> sequences;
  sequences.reserve(batch.slices.size());
  for (const BatchSlice& slice : batch.slices) {
    sequences.push_back(
        {.first_row = slice.first_row,
         .num_rows = slice.num_rows,
         .context_length = slice.context_length,
         .pages = slice.pages->groups,
         .use_long_rope = model_.uses_long_rope(slice.max_length)}
    );
  }
  return make_batch_view(std::move(sequences), pages_.shape);
}

// [T] int32: the host's tokens, and in fed rows the device's, chosen from one array of both.
mx::array MlxRunner::tokens_of(const Batch& batch) const {
  const mx::array known = to_array(batch.token_ids);
  if (batch.feeds.empty()) return known;
  std::vector<mx::array> sources{known};
  std::map<std::uint64_t, int> first_of_step;
  int size = known.shape(0);
  std::vector<std::int32_t> index(batch.token_ids.size());
  for (std::size_t row = 0; row < index.size(); ++row) index[row] = static_cast<std::int32_t>(row);
  for (const TokenFeed& feed : batch.feeds) {
    const auto [entry, is_new] = first_of_step.try_emplace(feed.step, size);
    if (is_new) {
      sources.push_back(sampled_in(feed.step));
      size += sources.back().shape(0);
    }
    index[static_cast<std::size_t>(feed.row)] = entry->second + feed.sample;
  }
  return mx::take(mx::concatenate(sources, 0), to_array(index), 0);
}

// RETURNS: for each place in flight, oldest first, [samples] int32: the token there, -1 for none.
std::vector<mx::array> MlxRunner::in_flight_tokens(const Batch& batch) const {
  std::size_t depth = 0;
  for (const BatchSample& sample : batch.samples) depth = std::max(depth, sample.in_flight.size());
  std::vector<mx::array> columns;
  for (std::size_t place = 0; place < depth; ++place) {
    std::vector<mx::array> sources{mx::array({-1}, mx::int32)};
    std::map<std::uint64_t, int> first_of_step;
    int size = 1;
    std::vector<std::int32_t> index;
    for (const BatchSample& sample : batch.samples) {
      if (place >= sample.in_flight.size()) {
        index.push_back(0);
        continue;
      }
      const TokenRef& newest = sample.in_flight[place];
      const auto [entry, is_new] = first_of_step.try_emplace(newest.step, size);
      if (is_new) {
        sources.push_back(sampled_in(newest.step));
        size += sources.back().shape(0);
      }
      index.push_back(entry->second + newest.sample);
    }
    columns.push_back(mx::take(mx::concatenate(sources, 0), to_array(index), 0));
  }
  return columns;
}

void MlxRunner::copy_in_order(const Batch& batch) {
  std::vector<PagePair> run;
  int group = 0;
  const auto flush = [&] {
    if (!run.empty()) copy_pages(pages_, group, run);
    run.clear();
  };
  for (const PageCopy& copy : batch.copies) {
    // Copies of one call are done at once, so one that touches what another one writes waits.
    const bool depends = std::ranges::any_of(run, [&copy](const PagePair& other) {
      return other.to == copy.from || other.to == copy.to || other.from == copy.to;
    });
    if (depends || copy.group != group) flush();
    group = copy.group;
    run.push_back({.from = copy.from, .to = copy.to});
  }
  flush();
}

void MlxRunner::move_pages(const Batch& batch) {
  if (!batch.swap_out.empty()) {
    std::vector<mx::array> contents;
    for (const PageMove& move : batch.swap_out) {
      contents.push_back(mlxs::read_page(pages_, move.group, move.page));
      host_slots_.insert_or_assign({move.group, move.host_slot}, contents.back());
    }
    mx::async_eval(contents);
  }
  copy_in_order(batch);
  for (const PageMove& move : batch.swap_in) {
    const auto slot = host_slots_.find({move.group, move.host_slot});
    if (slot == host_slots_.end())
      throw std::logic_error(fmt::format("[runner] host slot {} is empty", move.host_slot));
    mlxs::write_page(pages_, move.group, move.page, slot->second);
    host_slots_.erase(slot);
  }
}

std::unique_ptr<Submission> MlxRunner::submit(const Batch& batch) {
  const mx::StreamContext on_device(model_.device());
  move_pages(batch);
  fault_point("runner.forward");
  const mx::array hidden =
      model_.forward(tokens_of(batch), to_array(batch.positions), view_of(batch), pages_);
  // No logit depends on the last layer's keys and values of an unfinished prompt, so they are asked
  // for themselves.
  std::vector<mx::array> outputs;
  StepExtras extras;
  extras.add_prompts(batch, hidden, model_);
  extras.add_pools(batch, hidden, model_);
  if (!batch.samples.empty()) {
    mx::array logits = model_.logits(mx::take(hidden, sample_rows(batch), 0));
    if (fault_spoils("logits")) logits = logits * mx::array(kNan);
    fault_point("sampler");
    // The device works while this thread waits for the masks.
    if (has_masks(batch)) mx::async_eval(logits);
    SamplingBatch sampling = sampling_batch(batch);
    sampling.cpu = model_.cpu_context();
    const auto sampled = sample(logits, sampling, in_flight_tokens(batch));
    outputs.push_back(sampled.tokens);
    outputs.push_back(sampled.valid);
    outputs.push_back(sampled.surprises);
    extras.add_samples(batch, logits, sampled);
    sampled_.push_back({.step = batch.step, .tokens = sampled.tokens});
    while (sampled_.size() > kStepsKept) sampled_.pop_front();
  }
  for (mx::array& array : extras.arrays()) outputs.push_back(std::move(array));
  for (mx::array& array : pages_.arrays()) outputs.push_back(std::move(array));
  mx::async_eval(outputs);
  return std::make_unique<MlxSubmission>(
      mx::default_stream(model_.device()),
      std::move(outputs),
      batch.samples.size(),
      std::move(extras)
  );
}

std::vector<std::byte> MlxRunner::read_page(int group, std::int32_t page) {
  const mx::StreamContext on_device(model_.device());
  mx::array content = mlxs::read_page(pages_, group, page);
  content.eval();
  std::vector<std::byte> bytes(content.nbytes());
  std::memcpy(bytes.data(), content.data<std::uint8_t>(), bytes.size());
  return bytes;
}

void MlxRunner::write_page(int group, std::int32_t page, std::span<const std::byte> content) {
  const mx::StreamContext on_device(model_.device());
  const mx::array bytes(
      reinterpret_cast<const std::uint8_t*>(content.data()),
      mx::Shape{static_cast<int>(content.size())},
      mx::uint8
  );
  mlxs::write_page(pages_, group, page, bytes);
}

std::int64_t MlxRunner::page_bytes(int group) const { return mlxs::page_bytes(pages_, group); }

void MlxRunner::time_kernels(KernelTiming timing) {
  if (const auto& cpu = model_.cpu_context()) cpu->times.set_on(timing == KernelTiming::on);
}

std::vector<KernelTime> MlxRunner::take_kernel_times() {
  std::vector<KernelTime> times;
  const auto& cpu = model_.cpu_context();
  if (!cpu) return times;
  for (const PhaseTime& time : cpu->times.take()) {
    times.push_back({.name = time.name, .duration = time.duration, .num_calls = time.num_calls});
  }
  return times;
}

}  // namespace mlxs
