// Cuts a batch into tasks. Long contexts of few rows are cut by spans of keys as well, and merged
// afterwards: how it is cut changes no bit.
#include "kernels/paged_attention/attention_cpu.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/batch_view.h"
#include "kernels/cpu/cpu_context.h"
#include "kernels/cpu/cpu_path.h"
#include "kernels/cpu/scratch_arena.h"
#include "kernels/paged_attention/attention_kernel.h"
#include "kernels/worker_team.h"

namespace mlxs {
namespace {

struct Span {
  int first = 0;
  int last = 0;  // inclusive
};

Span seen_spans(const AttentionProblem& problem, int position) {
  const int first = problem.window > 0 ? std::max(0, position - problem.window + 1) : 0;
  return {.first = first / kKeySpan, .last = position / kKeySpan};
}

int group_size(const AttentionProblem& problem) { return problem.num_heads / problem.num_kv_heads; }

// Tokens of one task.
int tile_tokens(const AttentionProblem& problem) {
  return std::max(1, kMaxTaskRows / group_size(problem));
}

// A single row with more than one span is cut by its spans.
bool is_cut(const AttentionProblem& problem, const SequenceView& sequence) {
  if (sequence.num_rows > 1) return false;
  const Span spans = seen_spans(problem, sequence.context_length);
  return spans.last > spans.first;
}

struct Sizes {
  std::size_t num_tasks = 0;
  std::size_t num_merges = 0;
  std::size_t num_partials = 0;  // states of one query head
};

Sizes count(const AttentionProblem& problem, std::span<const SequenceView> sequences) {
  Sizes sizes;
  const auto num_kv_heads = static_cast<std::size_t>(problem.num_kv_heads);
  for (const SequenceView& sequence : sequences) {
    if (is_cut(problem, sequence)) {
      const Span spans = seen_spans(problem, sequence.context_length);
      const std::size_t num_spans = static_cast<unsigned>(spans.last - spans.first) + 1U;
      sizes.num_tasks += num_spans * num_kv_heads;
      sizes.num_merges += num_kv_heads;
      sizes.num_partials += num_spans * static_cast<std::size_t>(problem.num_heads);
    } else {
      const int tokens = tile_tokens(problem);
      const int num_tiles = (sequence.num_rows - 1) / tokens + 1;
      sizes.num_tasks += static_cast<std::size_t>(num_tiles) * num_kv_heads;
    }
  }
  return sizes;
}

class Planner {
 public:
  Planner(const AttentionProblem& problem, const Sizes& sizes, int group, ScratchArena& scratch)
      : problem_(problem),
        group_(static_cast<std::size_t>(group)),
        tasks_(scratch.take<AttentionTask>(sizes.num_tasks)),
        merges_(scratch.take<MergeTask>(sizes.num_merges)),
        partials_(scratch.take<float>(
            sizes.num_partials * static_cast<std::size_t>(partial_size(problem.head_dim))
        )) {}

  void add(const SequenceView& sequence) {
    if (is_cut(problem_, sequence)) {
      add_spans(sequence);
    } else {
      add_tiles(sequence);
    }
  }

  [[nodiscard]] std::span<AttentionTask> tasks() const { return {tasks_, num_tasks_}; }
  [[nodiscard]] std::span<MergeTask> merges() const { return {merges_, num_merges_}; }

 private:
  // Last tokens first: they see the most, and what is left at the end should be small.
  void add_tiles(const SequenceView& sequence) {
    const int tokens = tile_tokens(problem_);
    for (int tile = (sequence.num_rows - 1) / tokens; tile >= 0; --tile) {
      const int first = tile * tokens;
      for (int kv_head = 0; kv_head < problem_.num_kv_heads; ++kv_head) {
        tasks_[num_tasks_++] = {
            .pages = sequence.pages[group_].data(),
            .first_row = sequence.first_row + first,
            .num_rows = std::min(tokens, sequence.num_rows - first),
            .position = sequence.context_length + first,
            .kv_head = kv_head
        };
      }
    }
  }

  // Span by span, as the heads of one lie beside each other in memory.
  void add_spans(const SequenceView& sequence) {
    const Span spans = seen_spans(problem_, sequence.context_length);
    const int num_spans = spans.last - spans.first + 1;
    const std::int64_t states =
        std::int64_t{group_size(problem_)} * partial_size(problem_.head_dim);
    for (int kv_head = 0; kv_head < problem_.num_kv_heads; ++kv_head) {
      merges_[num_merges_++] = {
          .partials = partials_ + std::int64_t{kv_head} * num_spans * states,
          .num_spans = num_spans,
          .row = sequence.first_row,
          .kv_head = kv_head
      };
    }
    for (int span = 0; span < num_spans; ++span) {
      for (int kv_head = 0; kv_head < problem_.num_kv_heads; ++kv_head) {
        tasks_[num_tasks_++] = {
            .pages = sequence.pages[group_].data(),
            .first_row = sequence.first_row,
            .num_rows = 1,
            .position = sequence.context_length,
            .kv_head = kv_head,
            .partial = partials_ + (std::int64_t{kv_head} * num_spans + span) * states,
            .span = spans.first + span
        };
      }
    }
    partials_ += std::int64_t{problem_.num_kv_heads} * num_spans * states;
  }

  const AttentionProblem& problem_;
  std::size_t group_;
  AttentionTask* tasks_;
  MergeTask* merges_;
  float* partials_;
  std::size_t num_tasks_ = 0;
  std::size_t num_merges_ = 0;
};

// The team's limit of parts is far away, but not out of reach of a long prompt.
constexpr std::size_t kMaxParts = 1 << 15;

template <typename Task, typename Body>
void run_all(WorkerTeam& team, std::span<const Task> tasks, const Body& body) {
  const std::size_t per_part = (tasks.size() + kMaxParts - 1) / kMaxParts;
  if (per_part == 0) return;
  const auto num_parts = static_cast<int>((tasks.size() + per_part - 1) / per_part);
  team.run(num_parts, [&](int part, int thread) {
    const std::size_t first = static_cast<std::size_t>(part) * per_part;
    const std::size_t last = std::min(first + per_part, tasks.size());
    for (std::size_t at = first; at < last; ++at) body(tasks[at], thread);
  });
}

}  // namespace

const AttentionKernels& attention_kernels(CpuPath path) {
  switch (path) {
#if defined(__x86_64__)
    case CpuPath::avx2:
      return kAttentionAvx2;
    case CpuPath::avx512:
    case CpuPath::avx512_vnni:
      return kAttentionAvx512;
#endif
    default:
      return kAttentionBaseline;
  }
}

void run_paged_attention(
    CpuContext& context, const AttentionProblem& problem, const HostBatch& batch, int group
) {
  const AttentionKernels& kernels = attention_kernels(context.path);
  Planner planner(problem, count(problem, batch.sequences), group, context.scratch);
  int most_tokens = 1;
  for (const SequenceView& sequence : batch.sequences) {
    planner.add(sequence);
    most_tokens = std::max(most_tokens, sequence.num_rows);
  }
  const int rows = std::min(most_tokens, tile_tokens(problem)) * group_size(problem);
  const auto scratch_size =
      static_cast<std::size_t>(attention_scratch_size(problem.head_dim, rows));
  const std::size_t stride = (scratch_size + 15) / 16 * 16;
  auto* scratch =
      context.scratch.take<float>(stride * static_cast<std::size_t>(context.team.num_threads()));
  run_all<AttentionTask>(context.team, planner.tasks(), [&](const AttentionTask& task, int thread) {
    kernels.attend(problem, task, scratch + stride * static_cast<std::size_t>(thread));
  });
  const auto merges = planner.merges();
  const auto merge_one = [&](const MergeTask& task, int /*thread*/) {
    kernels.merge(problem, task);
  };
  constexpr std::size_t kMergesWorthATeam = 16;
  if (merges.size() >= kMergesWorthATeam) {
    run_all<MergeTask>(context.team, merges, merge_one);
  } else {
    for (const MergeTask& task : merges) merge_one(task, 0);
  }
}

}  // namespace mlxs
