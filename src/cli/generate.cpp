// `generate`: one prompt, one answer, streamed as text or printed as one JSON object.
#include <spdlog/fmt/fmt.h>

#include <iterator>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/settings.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/setting_flags.h"
#include "mlx_serving/config.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"

namespace mlxs {
namespace {

struct GenerateArguments {
  std::string model;
  std::string prompt;
  std::string system;
  std::vector<std::string> stop;
  bool is_raw = false;
  bool is_json = false;
};

void add_arguments(CLI::App& app, GenerateArguments& arguments) {
  add_model_argument(app, arguments.model);
  app.add_option("-p,--prompt", arguments.prompt, "the prompt; - reads it from standard input")
      ->type_name("TEXT")
      ->required();
  auto* system = app.add_option("--system", arguments.system, "a system message before the prompt")
                     ->type_name("TEXT");
  app.add_option(
         "--stop", arguments.stop, "the answer ends before this text; may be given several times"
  )
      ->type_name("TEXT")
      ->allow_extra_args(false);
  app.add_flag("--raw", arguments.is_raw, "the prompt as it is, without the model's chat template")
      ->excludes(system);
  app.add_flag("--json", arguments.is_json, "print one JSON object at the end instead of text");
  app.footer(
      "Examples:\n"
      "  mlx-serving generate --prompt \"Name three rivers.\" --max-tokens 40 --temperature 0\n"
      "  mlx-serving generate model.gguf --raw --prompt \"Once upon a time\" --seed 7\n"
      "  mlx-serving generate --prompt - --json < question.txt\n"
  );
}

std::string read_prompt(const GenerateArguments& arguments, Console& console) {
  if (arguments.prompt != "-") return arguments.prompt;
  std::string text((std::istreambuf_iterator<char>(console.in)), std::istreambuf_iterator<char>());
  // The newline at the end of a file or of `echo` is not part of the question.
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

Prompt make_prompt(const GenerateArguments& arguments, Console& console, const ModelInfo& model) {
  std::string text = read_prompt(arguments, console);
  check_utf8(text, "the prompt");
  if (arguments.is_raw) return text;
  if (!model.has_chat_template) {
    throw Error(
        ErrorCode::unsupported, fmt::format("{} has no chat template; use --raw", model.name)
    );
  }
  std::vector<ChatMessage> messages;
  check_utf8(arguments.system, "--system");
  if (!arguments.system.empty()) messages.push_back({"system", arguments.system});
  messages.push_back({"user", std::move(text)});
  return ChatPrompt{
      .messages_json = messages_json(messages), .tools_json = "", .template_kwargs_json = ""
  };
}

json::object to_json(const FullAnswer& answer, const ModelInfo& model) {
  const Timings& timings = answer.finish.timings;
  return {
      {"model", model.name},
      {"text", answer.text},
      {"prompt_tokens", answer.num_prompt_tokens},
      {"completion_tokens", answer.finish.usage.completion_tokens},
      {"token_ids", json::value_from(answer.token_ids)},
      {"finish_reason", finish_reason_name(answer.finish.reason)},
      {"timings",
       json::object{
           {"queue_ms", timings.queue_ms},
           {"prefill_ms", timings.prefill_ms},
           {"decode_ms", timings.decode_ms},
           {"prefill_tokens_per_second", prefill_tokens_per_second(answer)},
           {"decode_tokens_per_second", decode_tokens_per_second(answer)}
       }}
  };
}

class GenerateCommand final : public Command {
 public:
  explicit GenerateCommand(CLI::App& app) : Command(app), flags_(app, kGenerateCommand) {
    add_arguments(app, arguments_);
  }

  int run(CliContext& context) override {
    const Settings settings = flags_.resolve(context.environment);
    start_log(settings, context);
    EngineConfig config = engine_config(settings, arguments_.model, context.environment);
    config.max_sequences = 1;
    const auto engine = open_with_progress(config, context);
    Request request;
    request.prompt = make_prompt(arguments_, context.console, engine->model());
    request.sampling = sampling_params(settings, engine->model().default_sampling);
    request.stop = stop_params(settings, arguments_.stop);
    return print_answer(*engine, std::move(request), context);
  }

 private:
  int print_answer(Engine& engine, Request request, CliContext& context) const {
    Console& console = context.console;
    const FullAnswer answer =
        ask(engine, std::move(request), context.interrupts, [&](std::string_view text) {
          if (!arguments_.is_json) console.out << answer_text(console, text) << std::flush;
          return console.out.good();
        });
    if (arguments_.is_json) {
      console.out << json::serialize(to_json(answer, engine.model())) << '\n';
    } else {
      console.out << '\n' << std::flush;
      if (console.is_err_terminal)
        console.err << styled(console, TextStyle::dim, describe_speed(answer)) << '\n';
    }
    return answer.signal == 0 ? kExitOk : 128 + answer.signal;
  }

  SettingFlags flags_;
  GenerateArguments arguments_;
};

}  // namespace

std::unique_ptr<Command> make_generate_command(CLI::App& parent) {
  return std::make_unique<GenerateCommand>(*parent.add_subcommand("generate", "answer one prompt"));
}

}  // namespace mlxs
