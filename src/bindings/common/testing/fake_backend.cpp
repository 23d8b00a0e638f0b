// The back end that tests put in the place of MLX. The name of the model picks what it does: "" and
// "fake" are the engine's fake, "slow" waits 2 ms a step, "null" answers at once with the letter a,
// "missing", "huge" and "broken" fail to load.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bindings/common/backend.h"
#include "cli/backend_facts.h"
#include "cli/program.h"
#include "engine/batch.h"
#include "engine/runner.h"
#include "engine/testing/fake_engine.h"
#include "mlx_serving/config.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr int kContextLength = 8192;
constexpr const char* kVersion = "0.0.0";

class DoneSubmission final : public Submission {
 public:
  explicit DoneSubmission(const Batch& batch) {
    result_.tokens.assign(batch.samples.size(), {.id = 'a'});
  }
  bool wait_for(std::chrono::nanoseconds /*timeout*/) override { return true; }
  StepResult take() override { return std::move(result_); }

 private:
  StepResult result_;
};

class NullRunner final : public Runner {
 public:
  std::unique_ptr<Submission> submit(const Batch& batch) override {
    return std::make_unique<DoneSubmission>(batch);
  }
  std::vector<std::byte> read_page(int /*group*/, std::int32_t /*page*/) override { return {}; }
  void write_page(int /*group*/, std::int32_t /*page*/, std::span<const std::byte> /*content*/)
      override {}
  std::int64_t page_bytes(int /*group*/) const override { return 0; }
};

void refuse_to_load(const std::string& model) {
  if (model == "missing")
    throw Error(ErrorCode::model_not_found, "there is no model called \"missing\"");
  if (model == "huge") throw std::bad_alloc();
  if (model == "broken") throw std::runtime_error("the device is on fire");
}

std::unique_ptr<Engine> open_fake(const EngineConfig& config, const LoadProgress& progress) {
  refuse_to_load(config.model);
  if (progress) progress(/*done_bytes=*/1, /*total_bytes=*/1);
  FakeEngineOptions options;
  options.name = config.model.empty() ? "fake" : config.model;
  options.context_length = config.context_length > 0 ? config.context_length : kContextLength;
  options.max_sequences = config.max_sequences;
  options.step_tokens = config.step_tokens;
  options.max_queue = config.max_queue;
  options.runner.page_size = 32;
  options.runner.num_pages =
      config.max_sequences * (options.context_length / options.runner.page_size + 2);
  if (config.model == "slow") options.runner.step_time = std::chrono::milliseconds(2);
  if (config.model == "null")
    options.wrap_runner = [](std::unique_ptr<Runner>) { return std::make_unique<NullRunner>(); };
  return make_fake_engine(options);
}

BackendFacts fake_facts() {
  return {
      .mlx_version = kVersion,
      .backend = "cpu",
      .device_name = "fake",
      .device_architecture = "none",
      .cpu_path = "baseline"
  };
}

}  // namespace

std::unique_ptr<Engine> open_backend(const EngineConfig& config, const LoadProgress& progress) {
  return open_fake(config, progress);
}

BackendVersion backend_version() {
  return {.built_with = kVersion, .running_on = kVersion, .backend = "cpu"};
}

int run_program(const std::vector<std::string>& args) {
  return run_program(args, {.open_engine = open_fake, .backend_facts = fake_facts});
}

}  // namespace mlxs
