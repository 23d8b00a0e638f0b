// One graph a step, one evaluation, so that every error of the device has arrived before a token is
// handed out.
#include "engine/mlx_runner.h"

#include <mlx/ops.h>
#include <mlx/transforms.h>

#include <utility>
#include <vector>

#include "sampling/sample.h"

namespace mlxs {
namespace {

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
        {.seed = sample.seed, .prompt_tokens = sample.prompt_ids, .output_tokens = sample.output_ids
        }
    ));
  }
  return result;
}

}  // namespace

MlxRunner::MlxRunner(Model model, KvPages pages)
    : model_(std::move(model)), pages_(std::move(pages)) {}

BatchView MlxRunner::view_of(const Batch& batch) const {
  std::vector<SequenceView> sequences;
  sequences.reserve(batch.slices.size());
  for (const BatchSlice& slice : batch.slices) {
    sequences.push_back(
        {.first_row = slice.first_row,
         .num_rows = slice.num_rows,
         .context_length = slice.context_length,
         .pages = {pages_.shape.groups.size(), {slice.pages.begin(), slice.pages.end()}},
         .use_long_rope = model_.uses_long_rope(slice.max_length)}
    );
  }
  return make_batch_view(std::move(sequences), pages_.shape);
}

StepResult MlxRunner::run(const Batch& batch) {
  const mx::StreamContext on_device(model_.device());
  const mx::array hidden =
      model_.forward(to_array(batch.token_ids), to_array(batch.positions), view_of(batch), pages_);
  // No logit depends on the last layer's keys and values of an unfinished prompt, so they are asked
  // for themselves.
  std::vector<mx::array> outputs = pages_.arrays();
  if (batch.samples.empty()) {
    mx::eval(outputs);
    return {};
  }
  const Sampled sampled =
      sample(model_.logits(mx::take(hidden, sample_rows(batch), 0)), sampling_batch(batch));
  outputs.push_back(sampled.tokens);
  outputs.push_back(sampled.valid);
  mx::eval(outputs);

  StepResult result;
  for (std::size_t i = 0; i < batch.samples.size(); ++i) {
    result.tokens.push_back(
        {.id = sampled.tokens.data<std::int32_t>()[i], .is_finite = sampled.valid.data<bool>()[i]}
    );
  }
  return result;
}

}  // namespace mlxs
