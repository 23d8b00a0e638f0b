// Finds the files of a model: a folder, a .gguf file, or a name kept under the home folder. It
// looks at names and kinds of files only; what is in them is the business of checkpoint/.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mlxs {

// The model that `make setup` installs, and its file under HOME/models/.
inline constexpr std::string_view kDefaultModelAlias = "default";
inline constexpr std::string_view kDefaultModelName = "smollm2-135m-instruct";
inline constexpr std::string_view kDefaultModelFile = "SmolLM2-135M-Instruct.Q4_1.gguf";

// RETURNS: the path of a folder that has a config.json, or of a .gguf file.
//   Empty stands for "default". What has a slash or ends in .gguf is a path; "~/" is the user's
//   home. Another word is NAME or NAME.gguf under HOME/models/, and else a path in the current
//   folder. The words "default" and "smollm2-135m-instruct" are never the latter: without such
//   files they are the installed default model. An empty `home` stands for model_home() of the
//   process (base/settings.h).
// ERRORS: model_not_found with the names that exist; invalid_model for a path that is no model;
// io_error where the
//   operating system does not let us look. A name never leads out of HOME/models/.
[[nodiscard]] std::filesystem::path resolve_model(
    const std::string& model, const std::string& home
);

// RETURNS: the names that resolve_model() takes for what lies in HOME/models/, sorted; empty where
// there is none.
[[nodiscard]] std::vector<std::string> list_models(const std::string& home);

}  // namespace mlxs
