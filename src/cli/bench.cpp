// `bench`: prefill and decode speed of a model on this machine. What is measured is in
// bench_measure; `bench serve` and `bench compare` have files of their own.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "base/settings.h"
#include "cli/bench_compare.h"
#include "cli/bench_measure.h"
#include "cli/bench_report.h"
#include "cli/bench_serve.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/machine.h"
#include "cli/setting_flags.h"
#include "mlx_serving/config.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

struct BenchArguments {
  std::string model;
  std::string random_config;
  int prompt = 512;
  int gen = 128;
  std::vector<int> batches = {1};
  int depth = 0;
  int repeat = 5;
  bool is_json = false;
};

constexpr int kMaxLoadTokens = 1 << 22;

void add_arguments(CLI::App& app, BenchArguments& arguments) {
  auto* model = add_model_argument(app, arguments.model);
  app.add_option(
         "--random",
         arguments.random_config,
         "random weights for this config.json of Hugging Face's form"
  )
      ->type_name("FILE")
      ->excludes(model);
  app.add_option(
         "--prompt",
         arguments.prompt,
         "prompt tokens of the prefill test; 0: no such test (default 512)"
  )
      ->type_name("TOKENS")
      ->check(CLI::Range(0, kMaxLoadTokens));
  app.add_option("--gen", arguments.gen, "tokens of the decode test; 0: no such test (default 128)")
      ->type_name("TOKENS")
      ->check(CLI::Range(0, kMaxLoadTokens));
  app.add_option(
         "--batch",
         arguments.batches,
         "sequences at the same time; several: one test each (default 1)"
  )
      ->type_name("N[,N...]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 4096));
  app.add_option(
         "--depth",
         arguments.depth,
         "tokens already in each sequence when decode starts (default 0)"
  )
      ->type_name("TOKENS")
      ->check(CLI::Range(0, kMaxLoadTokens));
  app.add_option(
         "--repeat",
         arguments.repeat,
         "measured runs of each test, after one to warm up (default 5)"
  )
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  app.add_flag("--json", arguments.is_json, "print one JSON object instead of a table");
  app.footer(
      "Prefill (pp) and decode (tg) are measured apart, as llama-bench does: median, smallest and "
      "largest of the runs.\n\n"
      "Examples:\n"
      "  mlx-serving bench --prompt 128 --gen 32 --repeat 3\n"
      "  mlx-serving bench model.gguf --prompt 0 --batch 1,4,16 --depth 1024 --json\n"
      "  mlx-serving bench --random config.json\n"
  );
}

constexpr double kAnyItlMs = 60000.0;

std::vector<BenchLoad> plan(const BenchArguments& arguments, int step_tokens) {
  std::vector<BenchLoad> loads;
  for (const int batch : arguments.batches) {
    const BenchLoad form{.batch = batch, .step_tokens = step_tokens};
    if (arguments.prompt > 0) {
      loads.push_back(form);
      loads.back().num_tokens = arguments.prompt;
    }
    if (arguments.gen > 0) {
      loads.push_back(form);
      loads.back().kind = BenchLoad::Kind::decode;
      loads.back().num_tokens = arguments.gen;
      loads.back().depth = arguments.depth;
    }
  }
  return loads;
}

void check(const BenchArguments& arguments) {
  if (arguments.prompt == 0 && arguments.gen == 0) {
    throw Error(ErrorCode::invalid_config, "--prompt 0 and --gen 0 leave nothing to measure");
  }
}

class BenchCommand final : public Command {
 public:
  explicit BenchCommand(CLI::App& app) : Command(app), flags_(app, kBenchCommand) {
    add_arguments(app, arguments_);
    serve_ = add_bench_serve(app, serve_arguments_);
    compare_ = add_bench_compare(app, compare_arguments_);
  }

  int run(CliContext& context) override {
    if (serve_->parsed()) return run_bench_serve(serve_arguments_, context);
    if (compare_->parsed()) return run_bench_compare(compare_arguments_, context);
    check(arguments_);
    const Settings settings = flags_.resolve(context.environment);
    start_log(settings, context);
    EngineConfig config = engine_config(settings, arguments_.model, context.environment);
    config.random_weights_config = arguments_.random_config;
    const std::vector<BenchLoad> loads = plan(arguments_, config.step_tokens);
    fit_engine(loads, config);

    BenchReport report;
    report.device = settings.text("device");
    report.machine = read_machine();
    const auto start = std::chrono::steady_clock::now();
    const auto engine = open_with_progress(config, context);
    report.load_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    report.backend = context.backend_facts();
    report.model = engine->model();
    for (const BenchLoad& load : loads)
      report.results.push_back(measure(*engine, load, context.console));
    if (arguments_.is_json) {
      context.console.out << json::serialize(bench_json(report)) << '\n';
    } else {
      print_bench_table(context.console.out, report);
    }
    return kExitOk;
  }

 private:
  // As many sequences and as long ones as the loads need, where the settings do not say otherwise.
  static void fit_engine(const std::vector<BenchLoad>& loads, EngineConfig& config) {
    config.max_sequences = 1;
    int context_length = 0;
    for (const BenchLoad& load : loads) {
      config.max_sequences = std::max(config.max_sequences, load.batch);
      context_length = std::max(context_length, bench_context_length(load));
    }
    config.max_queue = std::max(config.max_queue, config.max_sequences);
    if (config.context_length == 0) config.context_length = context_length;
    // Decoding is measured from the last sequence's start on, so nothing holds prompts back.
    if (config.target_itl_ms == 0.0) config.target_itl_ms = kAnyItlMs;
  }

  BenchResult measure(Engine& engine, BenchLoad load, Console& console) const {
    BenchResult result{.load = load, .runs = {}};
    for (int i = 0; i <= arguments_.repeat; ++i) {
      if (console.is_err_terminal) {
        console.err << fmt::format(
                           "\r{} batch {}: {} of {}\x1b[K",
                           bench_name(load),
                           load.batch,
                           i,
                           arguments_.repeat
                       )
                    << std::flush;
      }
      load.seed = static_cast<std::uint64_t>(i);
      // The first run is there to warm up; one generated token does that as well as many.
      BenchLoad warm_up = load;
      if (load.kind == BenchLoad::Kind::decode) warm_up.num_tokens = 1;
      const BenchRun run = run_bench(engine, i == 0 ? warm_up : load);
      if (i > 0) result.runs.push_back(run);
    }
    if (console.is_err_terminal) console.err << "\r\x1b[K" << std::flush;
    return result;
  }

  SettingFlags flags_;
  BenchArguments arguments_;
  BenchServeArguments serve_arguments_;
  BenchCompareArguments compare_arguments_;
  CLI::App* serve_ = nullptr;
  CLI::App* compare_ = nullptr;
};

}  // namespace

std::unique_ptr<Command> make_bench_command(CLI::App& parent) {
  return std::make_unique<BenchCommand>(
      *parent.add_subcommand("bench", "measure prefill and decode speed")
  );
}

}  // namespace mlxs
