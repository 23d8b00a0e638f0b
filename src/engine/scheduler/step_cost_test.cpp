#include "engine/scheduler/step_cost.h"

#include <gtest/gtest.h>

#include <random>

namespace mlxs {
namespace {

// A device whose steps cost exactly this.
double true_seconds(const StepShape& shape, double slowness = 1.0) {
  return slowness * (0.004 + 1e-4 * shape.decode_rows + 5e-5 * shape.prefill_rows +
                     2e-9 * shape.decode_context + 1e-9 * shape.prefill_context);
}

StepShape random_shape(std::mt19937& random) {
  StepShape shape;
  const auto num_decodes = random() % 64;
  for (unsigned i = 0; i < num_decodes; ++i) shape.add_slice(1, static_cast<int>(random() % 8000));
  if (random() % 2 == 0)
    shape.add_slice(2 + static_cast<int>(random() % 500), static_cast<int>(random() % 8000));
  return shape;
}

void learn(StepCost& cost, int num_steps, double slowness = 1.0) {
  std::mt19937 random(7);
  for (int i = 0; i < num_steps; ++i) {
    const StepShape shape = random_shape(random);
    cost.learn(shape, true_seconds(shape, slowness));
  }
}

void expect_close(const StepCost& cost, double slowness, double tolerance) {
  std::mt19937 random(11);
  for (int i = 0; i < 50; ++i) {
    const StepShape shape = random_shape(random);
    const double truth = true_seconds(shape, slowness);
    EXPECT_NEAR(cost.predict(shape), truth, tolerance * truth);
  }
}

TEST(StepCost, KnowsNothingAtFirst) {
  const StepCost cost;
  EXPECT_FALSE(cost.is_known());
  EXPECT_EQ(cost.predict({.decode_rows = 8}), 0.0);
  EXPECT_EQ(cost.rows_within(0.0, 0, 100), 100);
}

TEST(StepCost, LearnsADevice) {
  StepCost cost;
  learn(cost, 60);
  expect_close(cost, 1.0, 0.02);
}

TEST(StepCost, FollowsADeviceThatGetsSlower) {
  StepCost cost;
  learn(cost, 300);
  learn(cost, 600, 2.0);
  expect_close(cost, 2.0, 0.06);
}

TEST(StepCost, OneWildStepDoesNotMatterMuch) {
  StepCost cost;
  learn(cost, 300);
  cost.learn({.decode_rows = 8, .decode_context = 1000}, 30.0);
  learn(cost, 20);
  expect_close(cost, 1.0, 0.25);
}

TEST(StepCost, MoreWorkNeverTakesLess) {
  StepCost cost;
  std::mt19937 random(3);
  for (int i = 0; i < 500; ++i) {  // no model fits this
    cost.learn(random_shape(random), 1e-3 * static_cast<double>(random() % 100));
    const StepShape shape = random_shape(random);
    StepShape more = shape;
    more.add_slice(64, 100);
    ASSERT_GE(cost.predict(more), cost.predict(shape));
    ASSERT_GE(cost.predict(shape), 0.0);
  }
}

TEST(StepCost, RowsWithinATimeTakeNoLonger) {
  StepCost cost;
  learn(cost, 100);
  for (const int context : {0, 1000, 100'000}) {
    const int rows = cost.rows_within(0.003, context, 10'000);
    EXPECT_LE(cost.prefill_seconds(rows, context), 0.003);
    EXPECT_GT(cost.prefill_seconds(rows + 1, context), 0.003);
  }
  EXPECT_EQ(cost.rows_within(0.0, 0, 100), 0);
}

}  // namespace
}  // namespace mlxs
