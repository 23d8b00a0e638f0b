// `chat`: a conversation in the terminal, or one turn per line of a pipe.
#include <spdlog/fmt/fmt.h>

#include <csignal>
#include <cstddef>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/settings.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/line_editor.h"
#include "cli/setting_flags.h"
#include "mlx_serving/config.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "mlx_serving/request.h"

namespace mlxs {
namespace {

constexpr std::string_view kChatHelp =
    "/help            this list\n"
    "/clear           forget the conversation, keep the system message\n"
    "/system TEXT     set the system message and forget the conversation; without TEXT: none\n"
    "/retry           answer the last message again\n"
    "/stats           tokens and speed of the last answer\n"
    "/exit or /quit   end (also Ctrl-D)\n"
    "A line that ends in \\ goes on in the next one. Ctrl-C stops an answer.\n";

// One conversation. Knows neither flags nor how lines are read.
class Conversation {
 public:
  enum class Outcome { go_on, end };

  Conversation(Engine& engine, CliContext& context, Request form, std::string system)
      : engine_(engine), context_(context), form_(std::move(form)) {
    set_system(std::move(system));
  }

  // A command or a message. ERRORS: as ask(); the message is then not part of the conversation.
  Outcome handle(const std::string& line) {
    if (line.find_first_not_of(" \t") == std::string::npos) return Outcome::go_on;
    if (line.starts_with('/')) return run_command(line);
    check_utf8(line, "the message");
    std::vector<ChatMessage> messages = messages_;
    messages.push_back({"user", line});
    return answer_to(std::move(messages));
  }

  // RETURNS: the signal that stopped the last answer; 0: none did.
  [[nodiscard]] int last_signal() const { return last_.signal; }

 private:
  void set_system(std::string text) {
    check_utf8(text, "the system message");
    messages_.clear();
    if (!text.empty()) messages_.push_back({"system", std::move(text)});
  }

  Outcome run_command(const std::string& line) {
    std::ostream& out = context_.console.out;
    const std::size_t space = line.find(' ');
    const std::string name = line.substr(0, space);
    const std::string argument = space == std::string::npos ? "" : line.substr(space + 1);
    if (name == "/exit" || name == "/quit") return Outcome::end;
    if (name == "/help") {
      out << kChatHelp;
    } else if (name == "/clear") {
      std::erase_if(messages_, [](const ChatMessage& message) { return message.role != "system"; });
      out << "The conversation is forgotten.\n";
    } else if (name == "/system") {
      set_system(argument);
      out << (argument.empty() ? "There is no system message.\n" : "The system message is set.\n");
    } else if (name == "/stats") {
      out << (last_.num_prompt_tokens == 0 ? "There was no answer yet." : describe_speed(last_))
          << '\n';
    } else if (name == "/retry") {
      return retry();
    } else {
      out << fmt::format(
          "{} is no command; /help lists them\n", answer_text(context_.console, name)
      );
    }
    return Outcome::go_on;
  }

  Outcome retry() {
    std::vector<ChatMessage> messages = messages_;
    if (!messages.empty() && messages.back().role == "assistant") messages.pop_back();
    if (!messages.empty() && messages.back().role == "user") return answer_to(std::move(messages));
    context_.console.out << "There is no message to answer again.\n";
    return Outcome::go_on;
  }

  // `messages` are the conversation from here on where they are answered; the last one is the
  // user's.
  Outcome answer_to(std::vector<ChatMessage> messages) {
    Console& console = context_.console;
    Request request = form_;
    request.prompt = ChatPrompt{
        .messages_json = messages_json(messages), .tools_json = "", .template_kwargs_json = ""
    };
    last_ =
        ask(engine_, std::move(request), context_.interrupts, [&console](std::string_view piece) {
          console.out << answer_text(console, piece) << std::flush;
          return console.out.good();
        });
    console.out << '\n' << std::flush;
    messages.push_back({"assistant", last_.text});
    messages_ = std::move(messages);
    return console.out.good() ? Outcome::go_on : Outcome::end;
  }

  Engine& engine_;
  CliContext& context_;
  const Request form_;  // sampling and stops of every turn
  std::vector<ChatMessage> messages_;
  FullAnswer last_;
};

class ChatCommand final : public Command {
 public:
  explicit ChatCommand(CLI::App& app) : Command(app), flags_(app, kChatCommand) {
    add_model_argument(app, model_);
    app.add_option("--system", system_, "a system message before the conversation")
        ->type_name("TEXT");
    app.footer(
        "In the conversation:\n" + std::string(kChatHelp) +
        "\nExamples:\n"
        "  mlx-serving chat --system \"Answer in one sentence.\"\n"
        "  printf 'Hello\\nWhat did I say?\\n' | mlx-serving chat --temperature 0\n"
    );
  }

  int run(CliContext& context) override {
    const Settings settings = flags_.resolve(context.environment);
    start_log(settings, context);
    EngineConfig config = engine_config(settings, model_, context.environment);
    config.max_sequences = 1;
    const auto engine = open_with_progress(config, context);
    const ModelInfo& model = engine->model();
    if (!model.has_chat_template) {
      throw Error(
          ErrorCode::unsupported,
          fmt::format("{} has no chat template; use generate --raw", model.name)
      );
    }
    Request form;
    form.sampling = sampling_params(settings, model.default_sampling);
    form.stop = stop_params(settings, {});
    Conversation conversation(*engine, context, std::move(form), system_);
    if (context.console.is_in_terminal) {
      context.console.out << fmt::format(
          "{}, {} tokens of context. /help lists the commands, Ctrl-D ends.\n",
          styled(context.console, TextStyle::bold, model.name),
          model.context_length
      );
    }
    // At a terminal, Ctrl-C while there is nothing to stop does nothing.
    const bool is_terminal = context.console.is_in_terminal;
    const auto listener = context.interrupts.listen([is_terminal](int signal) {
      if (signal != SIGINT || !is_terminal) Interrupts::end_process(signal);
    });
    return talk(conversation, context);
  }

 private:
  static int talk(Conversation& conversation, CliContext& context) {
    const auto lines = make_line_source(context.console);
    std::string text;
    while (true) {
      Line line = lines->read();
      if (line.kind == Line::Kind::end) return kExitOk;
      if (line.kind == Line::Kind::interrupted) {
        text.clear();
        continue;
      }
      text += line.text;
      if (text.ends_with('\\')) {
        text.back() = '\n';
        continue;
      }
      if (handle(conversation, std::exchange(text, {}), context) == Conversation::Outcome::end)
        return kExitOk;
      // Ctrl-C at a terminal ends the answer only; a script or SIGTERM means the program.
      const int signal = conversation.last_signal();
      if (signal == SIGTERM || (signal != 0 && !context.console.is_in_terminal))
        return 128 + signal;
    }
  }

  // At a terminal an error ends the turn; a script ends with it.
  static Conversation::Outcome handle(
      Conversation& conversation, const std::string& text, CliContext& context
  ) {
    if (!context.console.is_in_terminal) return conversation.handle(text);
    try {
      return conversation.handle(text);
    } catch (const Error& error) {
      context.console.out << '\n' << std::flush;
      write_error(context.console.err, error.what());
      if (error.code() == ErrorCode::context_length_exceeded) {
        context.console.out << "/clear forgets the conversation and makes room.\n";
      }
      return Conversation::Outcome::go_on;
    }
  }

  SettingFlags flags_;
  std::string model_;
  std::string system_;
};

}  // namespace

std::unique_ptr<Command> make_chat_command(CLI::App& parent) {
  return std::make_unique<ChatCommand>(
      *parent.add_subcommand("chat", "talk to a model in the terminal")
  );
}

}  // namespace mlxs
