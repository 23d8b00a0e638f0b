// Normal equations that fade, solved by coordinate descent from the last solution: five unknowns,
// well under a microsecond.
#include "engine/scheduler/step_cost.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace mlxs {
namespace {

// A step counts 1/e of a new one after 100 steps.
constexpr double kForgetting = 0.99;
// Holds on to the last solution where the data say nothing; a step adds about 1e4 to a diagonal.
constexpr double kInertia = 1e-2;
constexpr int kSweeps = 12;
constexpr double kMinSeconds = 1e-6;
constexpr int kWarmUp = 16;
constexpr double kMaxSurprise = 5.0;  // times the prediction

// Bring the features of usual steps near 1.
constexpr double kDecodeRows = 16.0;
constexpr double kPrefillRows = 128.0;
constexpr double kDecodeContext = 16'384.0;
constexpr double kPrefillContext = 131'072.0;

// Tokens that `num_rows` rows attend to, themselves included.
double attended(double num_rows, double context_length) {
  return num_rows * (context_length + (num_rows + 1.0) / 2.0);
}

}  // namespace

void StepShape::add_slice(int num_rows, int context_length) {
  if (num_rows == 1) {
    decode_rows += 1;
    decode_context += attended(1, context_length);
  } else {
    prefill_rows += num_rows;
    prefill_context += attended(num_rows, context_length);
  }
}

StepCost::Vector StepCost::features(const StepShape& shape) {
  return {
      1.0,
      shape.decode_rows / kDecodeRows,
      shape.prefill_rows / kPrefillRows,
      shape.decode_context / kDecodeContext,
      shape.prefill_context / kPrefillContext
  };
}

void StepCost::learn(const StepShape& shape, double seconds) {
  if (!std::isfinite(seconds) || seconds < 0.0) return;
  if (num_learned_ >= kWarmUp) seconds = std::min(seconds, kMaxSurprise * predict(shape));
  seconds = std::max(seconds, kMinSeconds);
  num_learned_ = std::min(num_learned_ + 1, kWarmUp);

  const Vector x = features(shape);
  for (std::size_t i = 0; i < kSize; ++i) {
    const double scaled = x[i] / seconds;
    for (std::size_t j = 0; j < kSize; ++j)
      products_[i][j] = kForgetting * products_[i][j] + scaled * x[j] / seconds;
    answers_[i] = kForgetting * answers_[i] + scaled;
  }
  solve();
}

void StepCost::solve() {
  const Vector last = weights_;
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (std::size_t i = 0; i < kSize; ++i) {
      double rest = answers_[i] + kInertia * last[i];
      for (std::size_t j = 0; j < kSize; ++j) rest -= i == j ? 0.0 : products_[i][j] * weights_[j];
      weights_[i] = std::max(0.0, rest / (products_[i][i] + kInertia));
    }
  }
}

double StepCost::predict(const StepShape& shape) const {
  const Vector x = features(shape);
  double seconds = 0.0;
  for (std::size_t i = 0; i < kSize; ++i) seconds += weights_[i] * x[i];
  return seconds;
}

double StepCost::prefill_seconds(int num_rows, int context_length) const {
  return weights_[2] * num_rows / kPrefillRows +
         weights_[4] * attended(num_rows, context_length) / kPrefillContext;
}

int StepCost::rows_within(double seconds, int context_length, int max_rows) const {
  int low = 0;
  int high = max_rows;
  while (low < high) {
    const int middle = low + (high - low + 1) / 2;
    if (prefill_seconds(middle, context_length) <= seconds) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

double StepCost::prefill_alone(int num_rows, int step_rows) const {
  const double num_steps = std::ceil(static_cast<double>(num_rows) / step_rows);
  const StepShape all{
      .prefill_rows = num_rows, .prefill_context = attended(num_rows, /*context_length=*/0)
  };
  return predict(all) + std::max(0.0, num_steps - 1.0) * predict({});
}

}  // namespace mlxs
