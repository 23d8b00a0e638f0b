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
#include "server/openai/tool_fields.h"
#include "server/responses/response_object.h"
#include "server/responses/response_store.h"

namespace mlxs {
namespace {

std::string with_answer(const std::string& conversation, const DoorResult& result) {
  json::value messages = parse_json(conversation);
  json::object message;
  message["role"] = "assistant";
  message["content"] = result.text;
  if (!result.reasoning.empty()) message["reasoning_content"] = result.reasoning;
  if (!result.tool_calls.empty()) message["tool_calls"] = tool_call_array(result.tool_calls);
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
  members["item_id"] = item_id_;
  members["output_index"] = num_items_ - 1;
  if (open_ != Open::call) members["content_index"] = 0;
  return members;
}

json::array ResponseForm::logprobs_of(const std::vector<TokenLogprobs>& logprobs) const {
  return LogprobWriter(context_.engine).entries(logprobs);
}

std::string ResponseForm::opening(int) {
  json::object created;
  created["response"] = unfinished_response(facts_);
  std::string out = event("response.created", created);
  out += event("response.in_progress", std::move(created));
  return out;
}

std::string ResponseForm::open_item(json::object item) {
  item_id_ = std::string(to_view(item["id"].as_string()));
  content_.clear();
  content_logprobs_.clear();
  json::object members;
  members["output_index"] = num_items_++;
  members["item"] = std::move(item);
  return event("response.output_item.added", std::move(members));
}

std::string ResponseForm::open_part(json::object part) {
  json::object members = place();
  members["part"] = std::move(part);
  return event("response.content_part.added", std::move(members));
}

std::string ResponseForm::add_reasoning(const std::string& reasoning) {
  std::string out;
  if (open_ != Open::reasoning) {
    out = close_item("completed");
    open_ = Open::reasoning;
    out += open_item(reasoning_item(facts_, "in_progress", {}));
    out += open_part(reasoning_part({}));
  }
  content_ += reasoning;
  json::object members = place();
  members["delta"] = reasoning;
  return out + event("response.reasoning_text.delta", std::move(members));
}

std::string ResponseForm::add_text(
    const std::string& text, const std::vector<TokenLogprobs>& logprobs
) {
  std::string out;
  if (open_ != Open::message) {
    out = close_item("completed");
    open_ = Open::message;
    out += open_item(message_item(facts_, "in_progress", {}));
    out += open_part(text_part({}));
  }
  if (text.empty() && logprobs.empty()) return out;
  content_ += text;
  const json::array told = logprobs_of(logprobs);
  content_logprobs_.insert(content_logprobs_.end(), told.begin(), told.end());
  json::object members = place();
  members["delta"] = text;
  members["logprobs"] = told;
  return out + event("response.output_text.delta", std::move(members));
}

std::string ResponseForm::add_call(const ToolCallDelta& piece) {
  std::string out;
  if (!piece.id.empty()) {
    out = close_item("completed");
    open_ = Open::call;
    call_ = piece;
    call_.arguments.clear();
    out += open_item(call_item(facts_, "in_progress", call_));
  }
  if (piece.arguments.empty()) return out;
  call_.arguments += piece.arguments;
  json::object members = place();
  members["delta"] = piece.arguments;
  return out + event("response.function_call_arguments.delta", std::move(members));
}

std::string ResponseForm::close_call(std::string_view status) {
  json::object members = place();
  members["name"] = call_.name;
  members["arguments"] = call_.arguments;
  std::string out = event("response.function_call_arguments.done", std::move(members));
  json::object done;
  done["output_index"] = num_items_ - 1;
  done["item"] = call_item(facts_, status, call_);
  return out + event("response.output_item.done", std::move(done));
}

std::string ResponseForm::close_content(std::string_view status) {
  const bool is_message = open_ == Open::message;
  json::object text = place();
  text["text"] = content_;
  const OutputPart output{.text = content_, .logprobs = content_logprobs_};
  if (is_message) text["logprobs"] = content_logprobs_;
  json::object part = place();
  part["part"] = is_message ? text_part(output) : reasoning_part(content_);
  json::object done;
  done["output_index"] = num_items_ - 1;
  done["item"] =
      is_message ? message_item(facts_, status, output) : reasoning_item(facts_, status, content_);
  std::string out = event(
      is_message ? "response.output_text.done" : "response.reasoning_text.done", std::move(text)
  );
  out += event("response.content_part.done", std::move(part));
  return out + event("response.output_item.done", std::move(done));
}

std::string ResponseForm::close_item(std::string_view status) {
  if (open_ == Open::nothing) return {};
  std::string out = open_ == Open::call ? close_call(status) : close_content(status);
  open_ = Open::nothing;
  return out;
}

std::string ResponseForm::delta(const Event& part) {
  std::string out;
  if (!part.reasoning.empty()) out += add_reasoning(part.reasoning);
  if (!part.text.empty() || !part.logprobs.empty()) out += add_text(part.text, part.logprobs);
  for (const ToolCallDelta& piece : part.tool_calls) out += add_call(piece);
  return out;
}

std::string ResponseForm::closing(const DoorResult& result) {
  // An answer has at least one item.
  std::string out = num_items_ == 0 ? add_text({}, {}) : std::string();
  const std::string status(finished_status(result.finish));
  out += close_item(status);
  json::object last;
  last["response"] = finished_response(facts_, result, logprobs_of(result.logprobs));
  return out + event("response." + status, std::move(last));
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
  stored_.conversation = with_answer(stored_.conversation, result);
  co_await store();
}

Task<void> ResponseForm::failed(const HttpFault& fault) {
  stored_.status = "failed";
  stored_.response = json::serialize(failed_response(facts_, fault));
  co_await store();
}

}  // namespace mlxs
