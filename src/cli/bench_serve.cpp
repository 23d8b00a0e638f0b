// The words of the command, and the order of its work: the model's name, one load a rate, the
// report.
#include "cli/bench_serve.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "cli/build_info.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/machine.h"
#include "cli/serve_load.h"
#include "cli/serve_report.h"
#include "mlx_serving/error.h"
#include "server/http/http_client.h"

namespace mlxs {
namespace {

constexpr std::chrono::hours kRequestTimeout(1);

std::string model_of(HttpCall call) {
  call.url.path = "/v1/models";
  call.method = "GET";
  const HttpAnswer answer = http_call(call);
  if (answer.status / 100 != 2)
    throw Error(
        ErrorCode::io_error,
        fmt::format("GET /v1/models answers {}; is MLX_SERVING_API_KEY right?", answer.status)
    );
  return std::string(parse_json(answer.body).at_pointer("/data/0/id").as_string());
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  if (!file.flush()) throw Error(ErrorCode::io_error, "\"" + path + "\" cannot be written");
}

}  // namespace

CLI::App* add_bench_serve(CLI::App& bench, BenchServeArguments& arguments) {
  CLI::App* app = bench.add_subcommand("serve", "a load on a running server over HTTP");
  const auto count = [app](const char* flag, int& value, const char* text) {
    app->add_option(flag, value, text)->type_name("N")->check(CLI::Range(1, 1 << 22));
  };
  app->add_option("--url", arguments.url, "the server (default http://127.0.0.1:8080)");
  count("--requests", arguments.num_requests, "of each rate (default 100)");
  app->add_option(
         "--rate",
         arguments.rates,
         "requests a second at Poisson times; several: one load each; "
         "not given: a closed loop"
  )
      ->delimiter(',')
      ->type_name("R[,R...]")
      ->check(CLI::Range(0.001, 1e6));
  count("--concurrency", arguments.concurrency, "clients of the closed loop (default 8)");
  count("--prompt", arguments.prompt, "tokens of a synthetic prompt (default 128)");
  app->add_option("--shared", arguments.shared, "of these, first ones that all share (default 0)")
      ->type_name("N")
      ->check(CLI::Range(0, 1 << 22));
  count("--gen", arguments.gen, "tokens of an answer (default 64)");
  app->add_option("--dataset", arguments.dataset, "JSON lines with `prompt` and `max_tokens`")
      ->type_name("FILE");
  app->add_option("--seed", arguments.seed, "of prompts and times (default 1)")->type_name("N");
  app->add_option("--slo-ttft", arguments.slo_ttft_ms, "milliseconds; goodput counts what keeps it")
      ->type_name("MS");
  app->add_option("--slo-itl", arguments.slo_itl_ms, "milliseconds between tokens, in the mean")
      ->type_name("MS");
  app->add_option("--svg", arguments.svg, "plot of latency over throughput")->type_name("FILE");
  app->add_flag("--json", arguments.is_json, "print one JSON object with all samples");
  app->footer(
      "With API keys set, MLX_SERVING_API_KEY is the one to use.\n\n"
      "Examples:\n"
      "  mlx-serving bench serve --requests 64 --concurrency 8\n"
      "  mlx-serving bench serve --rate 1,2,4 --shared 96 --slo-ttft 500 --svg curve.svg\n"
  );
  return app;
}

int run_bench_serve(const BenchServeArguments& arguments, CliContext& context) {
  HttpCall form{.method = "POST", .url = parse_http_url(arguments.url), .timeout = kRequestTimeout};
  const auto key = context.environment("MLX_SERVING_API_KEY");
  if (key && !key->empty()) form.headers.push_back({"Authorization", "Bearer " + *key});
  const std::string model = model_of(form);
  form.url.path = "/v1/completions";
  std::vector<double> rates = arguments.rates;
  if (rates.empty()) rates.push_back(0.0);
  std::vector<json::object> loads;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const auto bodies = serve_bodies(arguments, model, arguments.seed + i);
    loads.push_back(
        serve_json(run_serve_load(form, bodies, rates[i], arguments.concurrency), arguments)
    );
  }
  if (!arguments.svg.empty()) write_file(arguments.svg, serve_plot(loads));
  if (!arguments.is_json) {
    context.console.out << serve_table(loads);
  } else {
    const json::object report = {
        {"schema", "mlx-serving-bench-serve/1"},
        {"version", kVersion},
        {"commit", build_commit()},
        {"machine", machine_json(read_machine(), context.backend_facts())},
        {"model", model},
        {"prompt", arguments.prompt},
        {"shared", arguments.shared},
        {"gen", arguments.gen},
        {"loads", json::array(loads.begin(), loads.end())}
    };
    context.console.out << json::serialize(report) << '\n';
  }
  const bool has_good = std::ranges::any_of(loads, [](const json::object& load) {
    return load.at("good").to_number<std::int64_t>() > 0;
  });
  return has_good ? kExitOk : kExitFault;
}

}  // namespace mlxs
