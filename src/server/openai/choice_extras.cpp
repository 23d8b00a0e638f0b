// Nothing is written that was not asked for, so that plain replies stay as they are.
#include "server/openai/choice_extras.h"

#include <string>
#include <utility>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/event.h"
#include "server/door/logprob_fields.h"
#include "server/door/logprob_json.h"

namespace mlxs {

ChoiceExtras::ChoiceExtras(const Engine& engine, const TokenReply& reply, LogprobForm form)
    : engine_(engine),
      reply_(reply),
      form_(form),
      writer_(engine, reply.names),
      completion_(writer_) {}

void ChoiceExtras::add(const Event& event) {
  if (!event.prompt_ids.empty()) {
    prompt_ids_ = event.prompt_ids;
    if (reply_.is_echo)
      echo_ = engine_.detokenize(event.prompt_ids, {.skip_special_tokens = false});
    if (reply_.is_echo && reply_.has_logprobs)
      completion_.add_prompt(event.prompt_ids, event.prompt_logprobs);
  }
  if (!event.prompt_logprobs.empty()) prompt_logprobs_ = event.prompt_logprobs;
  if (reply_.has_token_ids) {
    token_ids_.insert(token_ids_.end(), event.token_ids.begin(), event.token_ids.end());
    has_news_ = has_news_ || !event.token_ids.empty();
  }
  if (!reply_.has_logprobs || event.logprobs.empty()) return;
  has_news_ = true;
  if (form_ == LogprobForm::completion) {
    completion_.add(event.logprobs);
    return;
  }
  for (json::value& entry : writer_.entries(event.logprobs)) content_.push_back(std::move(entry));
}

std::string ChoiceExtras::take_echo() { return std::exchange(echo_, {}); }

json::value ChoiceExtras::take_logprobs() {
  if (form_ == LogprobForm::completion) return completion_.take();
  json::object logprobs;
  logprobs["content"] = std::exchange(content_, {});
  logprobs["refusal"] = nullptr;
  return logprobs;
}

void ChoiceExtras::write(json::object& choice) {
  if (reply_.has_logprobs) choice["logprobs"] = take_logprobs();
  if (reply_.has_token_ids) choice["token_ids"] = std::exchange(token_ids_, {});
  has_news_ = false;
}

void ChoiceExtras::write_prompt(json::object& object) {
  if (reply_.has_prompt_logprobs)
    object["prompt_logprobs"] = writer_.prompt_entries(prompt_logprobs_);
  if (reply_.has_token_ids)
    object["prompt_token_ids"] = json::array(prompt_ids_.begin(), prompt_ids_.end());
}

}  // namespace mlxs
