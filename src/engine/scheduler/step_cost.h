// What a step costs: an online model of its time on the device from what is in it. Learned from
// every completed step, so that it follows the model, the machine and its heat. Knows nothing of
// policies.
#pragma once

#include <array>
#include <cstddef>

namespace mlxs {

// What is in a step, as far as it decides its time.
struct StepShape {
  int decode_rows = 0;
  int prefill_rows = 0;
  double decode_context = 0.0;   // tokens that the decode rows attend to, summed
  double prefill_context = 0.0;  // tokens that the prefill rows attend to, summed

  void add_slice(int num_rows, int context_length);
};

// time = c0 + c1 decode_rows + c2 prefill_rows + c3 decode_context + c4 prefill_context, by least
// squares of the relative errors, old steps counting less and less, coefficients never below zero:
// more work is never predicted to take less time. What the steps of late say nothing about stays as
// it was. One step that took far too long (a page fault, a laptop's sleep) counts no more than one
// that took several times the prediction.
class StepCost {
 public:
  void learn(const StepShape& shape, double seconds);

  // RETURNS: the predicted seconds; 0 before the first learn().
  [[nodiscard]] double predict(const StepShape& shape) const;

  // RETURNS: seconds that so many prefill rows of one prompt add to a step.
  [[nodiscard]] double prefill_seconds(int num_rows, int context_length) const;

  // RETURNS: how many prefill rows of one prompt whose first one sees `context_length` tokens take
  // `seconds` more in a step; `max_rows` at most.
  [[nodiscard]] int rows_within(double seconds, int context_length, int max_rows) const;

  // RETURNS: seconds that a prompt of `num_rows` rows takes in steps of its own of `step_rows`.
  [[nodiscard]] double prefill_alone(int num_rows, int step_rows) const;

  [[nodiscard]] bool is_known() const { return num_learned_ > 0; }

 private:
  static constexpr std::size_t kSize = 5;
  using Vector = std::array<double, kSize>;

  [[nodiscard]] static Vector features(const StepShape& shape);

  void solve();

  Vector weights_ = {};
  std::array<Vector, kSize> products_ = {};  // sum of x x^T / time^2, fading
  Vector answers_ = {};                      // sum of x / time, fading
  int num_learned_ = 0;                      // counts to kWarmUp
};

}  // namespace mlxs
