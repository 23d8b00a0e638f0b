// A response in the background was stored when it began, every other one when it ends.
#include "server/responses/response_form.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "mlx_serving/event.h"
#include "server/door/answer_one.h"
#include "server/door/logprob_json.h"
#include "server/http/message.h"
#include "server/http/task.h"
#include "server/openai/field_reader.h"
#include "server/responses/response_object.h"
#include "server/responses/response_store.h"

namespace mlxs {
namespace {

std::string with_answer(const std::string& conversation, const std::string& text) {
  json::value messages = parse_json(conversation);
  json::object message;
  message["role"] = "assistant";
  message["content"] = text;
  messages.as_array().push_back(std::move(message));
  return json::serialize(messages);
}

}  // namespace

// The type of each event is also its name.
std::string ResponseForm::event(std::string_view type, json::object members) {
  json::object body;
  body["type"] = to_json_view(type);
  body["sequence_number"] = sequence_number_++;
  for (auto& member : members) body[member.key()] = std::move(member.value());
  return named_event(type, json::serialize(body));
}

json::object ResponseForm::place() const {
  json::object members;
  members["item_id"] = facts_.message_id;
  members["output_index"] = 0;
  members["content_index"] = 0;
  return members;
}

json::array ResponseForm::logprobs_of(const std::vector<TokenLogprobs>& logprobs) const {
  return LogprobWriter(context_.engine).entries(logprobs);
}

std::string ResponseForm::opening(int) {
  json::object created;
  created["response"] = unfinished_response(facts_);
  json::object item;
  item["output_index"] = 0;
  item["item"] = message_item(facts_, "in_progress", {});
  json::object part = place();
  part["part"] = text_part({});
  std::string out = event("response.created", created);
  out += event("response.in_progress", std::move(created));
  out += event("response.output_item.added", std::move(item));
  out += event("response.content_part.added", std::move(part));
  return out;
}

std::string ResponseForm::delta(const Event& part) {
  if (part.text.empty() && part.logprobs.empty()) return {};
  json::object members = place();
  members["delta"] = part.text;
  members["logprobs"] = logprobs_of(part.logprobs);
  return event("response.output_text.delta", std::move(members));
}

std::string ResponseForm::closing(const DoorResult& result) {
  json::object text = place();
  const OutputPart output{.text = result.text, .logprobs = logprobs_of(result.logprobs)};
  text["text"] = result.text;
  text["logprobs"] = output.logprobs;
  json::object part = place();
  part["part"] = text_part(output);
  const std::string status(finished_status(result.finish));
  json::object item;
  item["output_index"] = 0;
  item["item"] = message_item(facts_, status, output);
  json::object last;
  last["response"] = finished_response(facts_, result, logprobs_of(result.logprobs));
  std::string out = event("response.output_text.done", std::move(text));
  out += event("response.content_part.done", std::move(part));
  out += event("response.output_item.done", std::move(item));
  out += event("response." + status, std::move(last));
  return out;
}

std::string ResponseForm::broken(const HttpFault& fault) {
  json::object last;
  last["response"] = failed_response(facts_, fault);
  return event("response.failed", std::move(last));
}

std::string ResponseForm::whole(const DoorResult& result) {
  return json::serialize(finished_response(facts_, result, logprobs_of(result.logprobs)));
}

Task<void> ResponseForm::store() {
  if (!facts_.is_stored) co_return;
  static_cast<void>(co_await context_.offload.run([this] {
    if (facts_.is_background) return context_.responses.finish(stored_);
    context_.responses.insert(stored_);
    return true;
  }));
}

Task<void> ResponseForm::finished(const DoorResult& result) {
  stored_.status = finished_status(result.finish);
  stored_.response =
      json::serialize(finished_response(facts_, result, logprobs_of(result.logprobs)));
  stored_.conversation = with_answer(stored_.conversation, result.text);
  co_await store();
}

Task<void> ResponseForm::failed(const HttpFault& fault) {
  stored_.status = "failed";
  stored_.response = json::serialize(failed_response(facts_, fault));
  co_await store();
}

}  // namespace mlxs
