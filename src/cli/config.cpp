// `config`: looks at a configuration file, and prints what documents such files.
#include <memory>
#include <ostream>
#include <string>

#include "base/settings.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/config_file.h"

namespace mlxs {
namespace {

class ConfigCommand final : public Command {
 public:
  explicit ConfigCommand(CLI::App& app) : Command(app) {
    app.require_subcommand(1);
    check_ = app.add_subcommand("check", "look at a file, and start nothing");
    check_->add_option("FILE", path_, "the YAML file")->required()->type_name("");
    schema_ = app.add_subcommand("schema", "print the JSON Schema of such files");
    docs_ = app.add_subcommand("docs", "print the document of all settings");
  }

  int run(CliContext& context) override {
    std::ostream& out = context.console.out;
    if (schema_->parsed()) {
      out << config_schema() << '\n';
    } else if (docs_->parsed()) {
      out << config_document();
    } else {
      const FileSettings file = read_config_file(path_);
      Settings::check(file);
      out << path_ << ": " << file.size() << " settings, all sound\n";
    }
    return kExitOk;
  }

 private:
  CLI::App* check_ = nullptr;
  CLI::App* schema_ = nullptr;
  CLI::App* docs_ = nullptr;
  std::string path_;
};

}  // namespace

std::unique_ptr<Command> make_config_command(CLI::App& parent) {
  return std::make_unique<ConfigCommand>(
      *parent.add_subcommand("config", "check a configuration file")
  );
}

}  // namespace mlxs
