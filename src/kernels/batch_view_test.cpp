// Slots, positions and everything that make_batch_view() refuses.
#include "kernels/batch_view.h"

#include <gtest/gtest.h>

#include "kernels/testing/arrays.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

using testing::host_values;

TEST(BatchView, DerivesSlotsPositionsAndLongRows) {
  const BatchView batch = make_batch_view(
      {{.first_row = 0, .num_rows = 3, .context_length = 3, .pages = {7, 2}, .use_long_rope = true},
       {.first_row = 3, .num_rows = 1, .context_length = 0, .pages = {0}}},
      4,
      8
  );
  EXPECT_EQ(host_values(batch.slots), (std::vector<float>{31, 8, 9, 0}));
  EXPECT_EQ(host_values(batch_positions(batch)), (std::vector<float>{3, 4, 5, 0}));
  EXPECT_EQ(host_values(batch.long_rope_rows), (std::vector<float>{1, 1, 1, 0}));
}

TEST(BatchView, RefusesWhatWouldIndexOutside) {
  const auto refused = [](const std::vector<SequenceView>& sequences) {
    EXPECT_THROW((void)make_batch_view(sequences, 4, 8), Error);
  };
  refused({{.first_row = 1, .num_rows = 1, .pages = {0}}});
  refused({{.num_rows = 2, .pages = {0}}, {.first_row = 1, .num_rows = 1, .pages = {1}}});
  refused({{.num_rows = 0, .pages = {0}}});
  refused({{.num_rows = 1, .context_length = -1, .pages = {0}}});
  refused({{.num_rows = 1, .context_length = 4, .pages = {0}}});
  refused({{.num_rows = 1, .pages = {8}}});
  refused({{.num_rows = 1, .pages = {-1}}});
}

}  // namespace
}  // namespace mlxs
