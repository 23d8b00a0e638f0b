// The body of POST /v1/completions.
#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mlx_serving/error.h"
#include "mlx_serving/request.h"
#include "server/openai/api_model.h"
#include "server/openai/call.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxPrompts = 64;
constexpr int kDefaultMaxTokens = 16;  // OpenAI's
constexpr std::string_view kPromptForms =
    "a string, an array of strings, an array of token ids or an array of such arrays";

[[noreturn]] void unsupported(const std::string& path) {
  throw Error(
      ErrorCode::unsupported,
      fmt::format("{} is not supported by this server; leave it out", path),
      path
  );
}

std::vector<std::int32_t> read_token_ids(
    const json::array& ids, const std::string& path, int vocab_size
) {
  if (ids.empty())
    throw Error(ErrorCode::invalid_value, fmt::format("{} must not be empty", path), path);
  const IntegerRule rule{"prompt", 0, vocab_size - 1};
  std::vector<std::int32_t> tokens;
  tokens.reserve(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    // The path of an element is built only for the message: prompts have many.
    const auto* id = ids[i].if_int64();
    const bool is_valid = id != nullptr && *id >= rule.min && *id <= rule.max;
    const auto token = is_valid ? *id : checked_integer(ids[i], rule, element_path(path, i));
    tokens.push_back(static_cast<std::int32_t>(token));
  }
  return tokens;
}

Prompt read_listed_prompt(const json::value& value, const std::string& path, int vocab_size) {
  if (value.is_string()) return std::string(to_view(value.get_string()));
  if (value.is_array()) return read_token_ids(value.get_array(), path, vocab_size);
  throw_wrong_type(path, "a string or an array of token ids", value);
}

std::vector<Prompt> read_prompts(const json::value& value, int vocab_size) {
  std::vector<Prompt> prompts;
  if (value.is_string()) {
    prompts.emplace_back(std::string(to_view(value.get_string())));
    return prompts;
  }
  if (!value.is_array()) throw_wrong_type("prompt", kPromptForms, value);
  const json::array& items = value.get_array();
  if (items.empty()) throw Error(ErrorCode::invalid_value, "prompt must not be empty", "prompt");
  if (items.front().is_number()) {
    prompts.emplace_back(read_token_ids(items, "prompt", vocab_size));
    return prompts;
  }
  if (items.size() > kMaxPrompts) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("prompt has {} entries, the limit is {}", items.size(), kMaxPrompts),
        "prompt"
    );
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].kind() != items.front().kind()) throw_wrong_type("prompt", kPromptForms, items[i]);
    prompts.push_back(read_listed_prompt(items[i], element_path("prompt", i), vocab_size));
  }
  return prompts;
}

void check_unsupported(FieldReader& fields, std::size_t num_choices) {
  static constexpr IntegerRule kLogprobs{"logprobs", 0, 5};
  if (fields.integer(kLogprobs)) unsupported("logprobs");
  if (fields.boolean("echo").value_or(false)) unsupported("echo");
  if (!fields.string("suffix").value_or("").empty()) unsupported("suffix");
  static constexpr IntegerRule kBestOf{"best_of", 1, 20};
  const auto best_of = fields.integer(kBestOf);
  if (best_of && *best_of != static_cast<std::int64_t>(num_choices)) unsupported("best_of");
  fields.refuse({"min_tokens"});
}

}  // namespace

Call parse_completion_call(std::string_view body, const ApiModel& model) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  CommonFields common = read_common_fields(fields, model);
  if (!common.stop.max_tokens) common.stop.max_tokens = kDefaultMaxTokens;
  const json::value* prompt = fields.any("prompt");
  if (prompt == nullptr)
    throw Error(ErrorCode::invalid_request, "you must provide a prompt parameter", "prompt");
  check_unsupported(fields, common.num_choices);
  fields.finish();
  return make_call(std::move(common), read_prompts(*prompt, model.info.vocab_size));
}

}  // namespace mlxs
