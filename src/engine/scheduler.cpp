// The policy, in one page: admit(), then schedule().
#include "engine/scheduler.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "engine/batch.h"
#include "engine/sequence.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

SchedulerOptions checked(const SchedulerOptions& options) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw Error(ErrorCode::invalid_config, what);
  };
  require(options.max_sequences >= 1, "max_sequences must be at least 1");
  require(
      options.step_tokens >= options.max_sequences, "step_tokens must be at least max_sequences"
  );
  require(options.num_pages >= 1, "the KV memory holds not even one page; give it more");
  require(options.page_size >= 1, "page_size must be at least 1");
  return options;
}

bool is_decode(const Sequence& sequence) {
  return sequence.num_pending() == 1 && sequence.num_output_tokens() > 0;
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options)
    : options_(checked(options)), pool_(options.num_pages) {}

int Scheduler::pages_for(int num_tokens) const {
  return (num_tokens + options_.page_size - 1) / options_.page_size;
}

bool Scheduler::fits(int max_length) const { return pages_for(max_length) <= pool_.num_pages(); }

void Scheduler::add(Sequence sequence) {
  if (sequence.token_ids.empty() || sequence.max_length <= sequence.num_tokens() ||
      !fits(sequence.max_length)) {
    throw std::logic_error(fmt::format(
        "Scheduler::add: sequence {} has {} tokens and may grow to {}",
        sequence.id,
        sequence.num_tokens(),
        sequence.max_length
    ));
  }
  waiting_.push_back(std::make_unique<Sequence>(std::move(sequence)));
}

bool Scheduler::can_admit() const {
  return !waiting_.empty() && num_running() < options_.max_sequences &&
         pages_for(waiting_.front()->max_length) <= pool_.num_free();
}

void Scheduler::admit() {
  while (can_admit()) {
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    std::vector<std::int32_t>& pages = running_.back()->pages;
    const auto count = static_cast<std::size_t>(pages_for(running_.back()->max_length));
    while (pages.size() < count) pages.push_back(pool_.allocate().value());
  }
}

Batch Scheduler::schedule() {
  admit();
  Batch batch;
  int budget = options_.step_tokens;
  for (const auto& sequence : running_) {
    if (sequence->is_paused || !is_decode(*sequence)) continue;
    add_slice(*sequence, 1, batch);
    --budget;
  }
  for (const auto& sequence : running_) {
    if (sequence->is_paused || is_decode(*sequence)) continue;
    const int num_rows = std::min(budget, sequence->num_pending());
    if (num_rows == 0) break;
    add_slice(*sequence, num_rows, batch);
    budget -= num_rows;
  }
  return batch;
}

void Scheduler::add_slice(Sequence& sequence, int num_rows, Batch& batch) const {
  const int first_row = static_cast<int>(batch.token_ids.size());
  const int first = sequence.num_computed;
  batch.slices.push_back(
      {.sequence = sequence.id,
       .first_row = first_row,
       .num_rows = num_rows,
       .context_length = first,
       .max_length = sequence.max_length,
       .pages = sequence.pages}
  );
  for (int position = first; position < first + num_rows; ++position) {
    batch.token_ids.push_back(sequence.token_ids[static_cast<std::size_t>(position)]);
    batch.positions.push_back(position);
  }
  if (first + num_rows < sequence.num_tokens()) return;
  const std::span<const std::int32_t> ids = sequence.token_ids;
  batch.samples.push_back(
      {.sequence = sequence.id,
       .row = first_row + num_rows - 1,
       .seed = sequence.seed,
       .params = &sequence.sampling,
       .prompt_ids = ids.first(static_cast<std::size_t>(sequence.num_prompt_tokens)),
       .output_ids = ids.subspan(static_cast<std::size_t>(sequence.num_prompt_tokens))}
  );
}

void Scheduler::mark_computed(const Batch& batch) {
  for (const BatchSlice& slice : batch.slices) {
    if (Sequence* sequence = find_running(slice.sequence)) sequence->num_computed += slice.num_rows;
  }
}

void Scheduler::append(SequenceId id, std::int32_t token_id) {
  if (Sequence* sequence = find_running(id)) sequence->token_ids.push_back(token_id);
}

bool Scheduler::remove(SequenceId id) {
  const auto has_id = [id](const auto& sequence) { return sequence->id == id; };
  if (const auto found = std::ranges::find_if(running_, has_id); found != running_.end()) {
    for (const std::int32_t page : (*found)->pages) pool_.release(page);
    running_.erase(found);
    return true;
  }
  return std::erase_if(waiting_, has_id) > 0;
}

void Scheduler::set_paused(SequenceId id, bool is_paused) {
  if (Sequence* sequence = find_running(id)) sequence->is_paused = is_paused;
}

Sequence* Scheduler::find_running(SequenceId id) {
  const auto found =
      std::ranges::find_if(running_, [id](const auto& sequence) { return sequence->id == id; });
  return found == running_.end() ? nullptr : found->get();
}

const Sequence* Scheduler::find(SequenceId id) const {
  const auto has_id = [id](const auto& sequence) { return sequence->id == id; };
  if (const auto found = std::ranges::find_if(running_, has_id); found != running_.end())
    return found->get();
  if (const auto found = std::ranges::find_if(waiting_, has_id); found != waiting_.end())
    return found->get();
  return nullptr;
}

bool Scheduler::has_work() const {
  return can_admit() ||
         std::ranges::any_of(running_, [](const auto& sequence) { return !sequence->is_paused; });
}

}  // namespace mlxs
