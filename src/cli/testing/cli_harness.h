// Runs the command line in process: streams are strings, the environment is a map, the engine is a
// fake one.
#pragma once

#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "engine/testing/fake_engine.h"

namespace mlxs {

struct CliHarness {
  FakeEngineOptions engine;
  std::map<std::string, std::string> variables{{"HOME", "/nonexistent"}};
  std::string input;
  std::function<void(const EngineConfig&)> before_open = [](const EngineConfig&) {};

  // Of the last run.
  int exit_code = -1;
  std::string out;
  std::string err;
  EngineConfig config;  // that the engine was opened with

  Interrupts interrupts;

  int run(const std::vector<std::string>& args) {
    std::istringstream in(input);
    std::ostringstream out_stream;
    std::ostringstream err_stream;
    Console console{.in = in, .out = out_stream, .err = err_stream};
    CliContext context{
        .console = console,
        .interrupts = interrupts,
        .environment =
            [this](const std::string& name) {
              const auto found = variables.find(name);
              return found == variables.end() ? std::nullopt : std::optional(found->second);
            },
        .open_engine =
            [this](const EngineConfig& wanted, const LoadProgress&) {
              config = wanted;
              before_open(wanted);
              return make_fake_engine(engine);
            },
        .backend_facts =
            [] {
              return BackendFacts{
                  .mlx_version = "9.9.9",
                  .backend = "cpu",
                  .device_name = "fake",
                  .device_architecture = "none",
                  .cpu_path = "baseline"
              };
            }
    };
    exit_code = run_cli(args, context);
    out = out_stream.str();
    err = err_stream.str();
    return exit_code;
  }
};

}  // namespace mlxs
