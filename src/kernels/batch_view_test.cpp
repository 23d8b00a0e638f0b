// Slots, positions and everything that make_batch_view() refuses.
#include "kernels/batch_view.h"

#include <gtest/gtest.h>

#include "kernels/testing/arrays.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

using testing::host_values;

TEST(BatchView, DerivesSlotsPositionsAndLongRows) {
  const PoolShape shape{
      .page_size = 4, .groups = {{.num_pages = 8}, {.num_pages = 3, .window = 2}}
  };
  const BatchView batch = make_batch_view(
      {{.first_row = 0,
        .num_rows = 3,
        .context_length = 3,
        .pages = {{7, 2}, {1, 2}},
        .use_long_rope = true},
       {.first_row = 3, .num_rows = 1, .context_length = 0, .pages = {{0}, {0}}}},
      shape
  );
  ASSERT_EQ(batch.slots.size(), 2U);
  EXPECT_EQ(host_values(batch.slots[0]), (std::vector<float>{31, 8, 9, 0}));
  EXPECT_EQ(host_values(batch.slots[1]), (std::vector<float>{7, 8, 9, 0}));
  EXPECT_EQ(host_values(batch_positions(batch)), (std::vector<float>{3, 4, 5, 0}));
  EXPECT_EQ(host_values(batch.long_rope_rows), (std::vector<float>{1, 1, 1, 0}));
}

TEST(BatchView, TakesTablesWithoutThePagesBehindTheWindow) {
  const PoolShape shape{.page_size = 4, .groups = {{.num_pages = 8, .window = 3}}};
  const auto view = [&shape](int context_length) {
    return make_batch_view(
        {{.num_rows = 1, .context_length = context_length, .pages = {{-1, 5, 6}}}}, shape
    );
  };
  EXPECT_EQ(host_values(view(6).slots[0]), (std::vector<float>{22}));
  EXPECT_THROW((void)view(5), Error);  // sees token 3, the last of the first page
}

TEST(BatchView, RefusesWhatWouldIndexOutside) {
  const auto refused = [](const std::vector<SequenceView>& sequences) {
    EXPECT_THROW(
        (void)make_batch_view(sequences, {.page_size = 4, .groups = {{.num_pages = 8}}}), Error
    );
  };
  refused({{.first_row = 1, .num_rows = 1, .pages = {{0}}}});
  refused({{.num_rows = 2, .pages = {{0}}}, {.first_row = 1, .num_rows = 1, .pages = {{1}}}});
  refused({{.num_rows = 0, .pages = {{0}}}});
  refused({{.num_rows = 1, .context_length = -1, .pages = {{0}}}});
  refused({{.num_rows = 1, .context_length = 4, .pages = {{0}}}});
  refused({{.num_rows = 1, .pages = {{8}}}});
  refused({{.num_rows = 1, .pages = {{-1}}}});
  refused({{.num_rows = 1, .pages = {}}});
  refused({{.num_rows = 1, .pages = {{0}, {0}}}});
  EXPECT_THROW((void)make_batch_view({}, {.page_size = 4, .groups = {}}), Error);
  EXPECT_THROW(
      (void)make_batch_view({}, {.page_size = 4, .groups = {{.num_pages = 1 << 30}}}), Error
  );
}

}  // namespace
}  // namespace mlxs
