// Runs batches on a model with MLX: one graph a step, enqueued at once, its tokens fed to the next
// step on the device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/runner.h"
#include "kernels/batch_view.h"
#include "kernels/kv_pages.h"
#include "kernels/mx.h"
#include "model/model.h"

namespace mlxs {

// Thread safety: as Runner's.
class MlxRunner final : public Runner {
 public:
  MlxRunner(Model model, KvPages pages);

  [[nodiscard]] std::unique_ptr<Submission> submit(const Batch& batch) override;
  [[nodiscard]] std::vector<std::byte> read_page(int group, std::int32_t page) override;
  void write_page(int group, std::int32_t page, std::span<const std::byte> content) override;
  [[nodiscard]] std::int64_t page_bytes(int group) const override;
  void time_kernels(KernelTiming timing) override;
  [[nodiscard]] std::vector<KernelTime> take_kernel_times() override;

  [[nodiscard]] const KvPages& pages() const { return pages_; }

 private:
  // What later steps may be fed from.
  struct Sampled {
    std::uint64_t step = 0;
    mx::array tokens;  // [samples] int32
  };

  void move_pages(const Batch& batch);
  void copy_in_order(const Batch& batch);
  [[nodiscard]] BatchView view_of(const Batch& batch) const;
  [[nodiscard]] mx::array tokens_of(const Batch& batch) const;
  [[nodiscard]] std::vector<mx::array> in_flight_tokens(const Batch& batch) const;
  [[nodiscard]] const mx::array& sampled_in(std::uint64_t step) const;

  Model model_;
  KvPages pages_;
  std::deque<Sampled> sampled_;  // of the newest steps, oldest first
  std::map<std::pair<int, std::int32_t>, mx::array> host_slots_;  // swapped pages
};

}  // namespace mlxs
