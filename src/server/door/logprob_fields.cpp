// What asks for details of something that is not asked for itself is refused, as OpenAI does.
#include "server/door/logprob_fields.h"

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/sampling.h"
#include "server/door/logprob_json.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

constexpr IntegerRule kTopLogprobs{"top_logprobs", 0, 20};
constexpr IntegerRule kLogprobs{"logprobs", 0, 20};
constexpr IntegerRule kPromptLogprobs{"prompt_logprobs", 0, 20};
constexpr std::size_t kMaxNamedIds = 128;

[[noreturn]] void invalid(const std::string& path, const std::string& problem) {
  throw Error(ErrorCode::invalid_value, path + " " + problem, path);
}

void read_named_ids(FieldReader& fields, int vocab_size, LogprobParams& logprobs) {
  const json::array* ids = fields.array("logprob_token_ids");
  if (ids == nullptr) return;
  const std::string path = fields.path_of("logprob_token_ids");
  if (!logprobs.num_top) invalid(path, "is only allowed with logprobs");
  if (ids->size() > kMaxNamedIds)
    invalid(path, fmt::format("has {} ids, the limit is {}", ids->size(), kMaxNamedIds));
  const IntegerRule rule{"logprob_token_ids", 0, vocab_size - 1};
  for (std::size_t i = 0; i < ids->size(); ++i) {
    logprobs.token_ids.push_back(
        static_cast<std::int32_t>(checked_integer((*ids)[i], rule, element_path(path, i)))
    );
  }
}

}  // namespace

void read_chat_logprobs(FieldReader& fields, LogprobParams& logprobs) {
  const bool is_asked = fields.boolean("logprobs").value_or(false);
  const auto num_top = fields.integer(kTopLogprobs);
  if (num_top && *num_top > 0 && !is_asked)
    invalid(fields.path_of("top_logprobs"), "is only allowed when logprobs is true");
  if (is_asked) logprobs.num_top = static_cast<int>(num_top.value_or(0));
}

void read_completion_logprobs(FieldReader& fields, LogprobParams& logprobs) {
  if (const auto num_top = fields.integer(kLogprobs)) logprobs.num_top = static_cast<int>(*num_top);
}

TokenReply read_token_reply(FieldReader& fields, int vocab_size, LogprobParams& logprobs) {
  TokenReply reply;
  read_named_ids(fields, vocab_size, logprobs);
  const auto mode = fields.word("logprobs_mode", {"raw_logprobs", "processed_logprobs"});
  if (mode && *mode == "processed_logprobs") logprobs.of = LogprobsOf::draw;
  if (const auto num_top = fields.integer(kPromptLogprobs)) {
    logprobs.prompt_num_top = static_cast<int>(*num_top);
    reply.has_prompt_logprobs = true;
  }
  reply.has_logprobs = logprobs.num_top.has_value();
  reply.has_token_ids = fields.boolean("return_token_ids").value_or(false);
  if (fields.boolean("return_tokens_as_token_ids").value_or(false)) reply.names = TokenNames::ids;
  return reply;
}

}  // namespace mlxs
