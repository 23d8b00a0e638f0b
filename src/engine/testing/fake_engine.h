// An engine on a FakeRunner with a tokenizer of single bytes: what the tests of the engine and of
// every door run on.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cache/disk_tier.h"
#include "engine/runner.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/submission_ring.h"
#include "engine/testing/fake_runner.h"
#include "mlx_serving/engine.h"
#include "text/tokenizer.h"

namespace mlxs {

struct FakeEngineOptions {
  std::string name = "fake";
  std::string chat_template = {};  // empty: one that knows neither tools nor reasoning
  int context_length = 128;
  int max_sequences = 8;
  int step_tokens = 64;
  int max_queue = 64;
  FakeRunnerOptions runner{.num_pages = 512};
  SchedulerOptions scheduler = {};  // sizes are the ones above
  SubmissionRingOptions ring = {};
  std::function<std::unique_ptr<DiskTier>()> make_disk_tier = {};
  // What the engine gets instead of the FakeRunner.
  std::function<std::unique_ptr<Runner>(std::unique_ptr<Runner>)> wrap_runner = {};
};

// Token ids 0 to 255 are bytes, 256 is "<|end|>", which ends a sequence, 257 and 258 frame a
// message in the template:
// "<|role|>" + role + ":" + content + "<|turn|>" for each, then "<|role|>assistant:". A template
// error is raised for the role "raise".
[[nodiscard]] Tokenizer make_byte_tokenizer();

[[nodiscard]] std::unique_ptr<Engine> make_fake_engine(const FakeEngineOptions& options = {});

}  // namespace mlxs
