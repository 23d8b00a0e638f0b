// The body of POST /v1/completions.
#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "mlx_serving/error.h"
#include "mlx_serving/request.h"
#include "server/openai/api_model.h"
#include "server/openai/call.h"
#include "server/openai/field_reader.h"
#include "server/openai/prompt_input.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxPrompts = 64;
constexpr int kDefaultMaxTokens = 16;  // OpenAI's

[[noreturn]] void unsupported(const std::string& path) {
  throw Error(
      ErrorCode::unsupported,
      fmt::format("{} is not supported by this server; leave it out", path),
      path
  );
}

// With log probabilities the prompt's are shown, too, with as many of the likeliest tokens.
void read_echo(FieldReader& fields, CommonFields& common) {
  if (!fields.boolean("echo").value_or(false)) return;
  common.reply.tokens.is_echo = true;
  LogprobParams& logprobs = common.sampling.logprobs;
  if (logprobs.num_top && !logprobs.prompt_num_top) logprobs.prompt_num_top = logprobs.num_top;
}

// Turns prompts into what a model that was trained to fill in the middle expects.
void add_suffix(
    std::string_view suffix,
    const ModelInfo& model,
    const ReplyOptions& reply,
    std::vector<Prompt>& prompts
) {
  const FillInMiddle& marks = model.fill_in_middle;
  if (marks.prefix.empty()) {
    throw Error(
        ErrorCode::unsupported,
        fmt::format("suffix needs a model with fill-in-the-middle tokens; {} has none", model.name),
        "suffix"
    );
  }
  if (reply.tokens.is_echo)
    throw Error(ErrorCode::invalid_value, "suffix and echo exclude each other", "suffix");
  for (Prompt& prompt : prompts) {
    const auto* text = std::get_if<std::string>(&prompt);
    if (text == nullptr)
      throw Error(ErrorCode::invalid_value, "suffix needs a prompt of text, not of ids", "suffix");
    prompt = fmt::format("{}{}{}{}{}", marks.prefix, *text, marks.suffix, suffix, marks.middle);
  }
}

void check_unsupported(FieldReader& fields, std::size_t num_choices) {
  static constexpr IntegerRule kBestOf{"best_of", 1, 20};
  const auto best_of = fields.integer(kBestOf);
  if (best_of && *best_of != static_cast<std::int64_t>(num_choices)) unsupported("best_of");
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
  read_completion_logprobs(fields, common.sampling.logprobs);
  read_tokens_of_reply(fields, model, common);
  read_echo(fields, common);
  const std::string_view suffix = fields.string("suffix").value_or("");
  check_unsupported(fields, common.num_choices);
  fields.finish();
  std::vector<Prompt> prompts = read_prompt_input(
      *prompt, {.field = "prompt", .vocab_size = model.info.vocab_size, .max_prompts = kMaxPrompts}
  );
  if (!suffix.empty()) add_suffix(suffix, model.info, common.reply, prompts);
  return make_call(std::move(common), prompts);
}

}  // namespace mlxs
