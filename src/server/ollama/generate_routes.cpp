// POST /api/chat and /api/generate: the form of the answers, one line of JSON for each part.
#include <chrono>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/event.h"
#include "server/api_context.h"
#include "server/door/answer_one.h"
#include "server/door/logprob_json.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/task.h"
#include "server/ollama/call.h"
#include "server/ollama/error_body.h"
#include "server/ollama/rfc3339.h"
#include "server/ollama/routes.h"
#include "server/openai/field_reader.h"
#include "server/openai/tool_fields.h"
#include "server/prompt/prompt_body.h"

namespace mlxs {
namespace {

enum class OllamaKind { chat, generate };

// Ollama's calls have no ids, and are told once they are whole.
json::array calls_of(const DoorResult& result) {
  json::array calls;
  for (const ToolCallDelta& call : result.tool_calls) {
    auto arguments = arguments_object(call);
    if (!arguments) continue;
    json::object function;
    function["name"] = call.name;
    function["arguments"] = std::move(*arguments);
    json::object entry;
    entry["function"] = std::move(function);
    calls.push_back(std::move(entry));
  }
  return calls;
}

std::int64_t nanoseconds(double milliseconds) { return std::llround(milliseconds * 1e6); }

class OllamaForm final : public DoorForm {
 public:
  OllamaForm(OllamaKind kind, std::string model, const Engine& engine)
      : kind_(kind), model_(std::move(model)), writer_(engine) {}

  [[nodiscard]] std::string_view stream_type() const override { return "application/x-ndjson"; }
  [[nodiscard]] std::string_view prompt_param() const override {
    return kind_ == OllamaKind::chat ? "messages" : "prompt";
  }
  [[nodiscard]] std::string opening(int) override { return {}; }

  [[nodiscard]] std::string delta(const Event& event) override {
    if (event.text.empty() && event.reasoning.empty() && event.logprobs.empty()) return {};
    json::object part = part_of(event.text, event.reasoning);
    part["done"] = false;
    if (!event.logprobs.empty()) part["logprobs"] = writer_.entries(event.logprobs);
    return json::serialize(part) + "\n";
  }

  [[nodiscard]] std::string closing(const DoorResult& result) override {
    std::string out;
    if (!result.tool_calls.empty()) {
      json::object part = part_of("", "");
      part["message"].as_object()["tool_calls"] = calls_of(result);
      part["done"] = false;
      out = json::serialize(part) + "\n";
    }
    DoorResult rest;  // what was streamed is not told again
    rest.finish = result.finish;
    return out + json::serialize(last_part(rest)) + "\n";
  }

  [[nodiscard]] std::string broken(const HttpFault& fault) override {
    return render_ollama_fault(fault, {}) + "\n";
  }

  [[nodiscard]] std::string whole(const DoorResult& result) override {
    json::object part = last_part(result);
    if (!result.tool_calls.empty()) part["message"].as_object()["tool_calls"] = calls_of(result);
    if (!result.logprobs.empty()) part["logprobs"] = writer_.entries(result.logprobs);
    return json::serialize(part);
  }

  // RETURNS: the answer to a request without a prompt.
  [[nodiscard]] json::object loaded() const {
    json::object part = part_of("", "");
    part["done"] = true;
    part["done_reason"] = "load";
    return part;
  }

 private:
  [[nodiscard]] json::object part_of(std::string_view text, std::string_view thinking) const {
    json::object part;
    part["model"] = model_;
    part["created_at"] = rfc3339(std::chrono::system_clock::now());
    if (kind_ == OllamaKind::generate) {
      part["response"] = to_json_view(text);
      if (!thinking.empty()) part["thinking"] = to_json_view(thinking);
      return part;
    }
    json::object message;
    message["role"] = "assistant";
    message["content"] = to_json_view(text);
    if (!thinking.empty()) message["thinking"] = to_json_view(thinking);
    part["message"] = std::move(message);
    return part;
  }

  [[nodiscard]] json::object last_part(const DoorResult& result) const {
    const Finish& finish = result.finish;
    const Timings& timings = finish.timings;
    json::object part = part_of(result.text, result.reasoning);
    part["done"] = true;
    part["done_reason"] = finish.reason == FinishReason::length ? "length" : "stop";
    part["total_duration"] = nanoseconds(timings.queue_ms + timings.prefill_ms + timings.decode_ms);
    part["load_duration"] = 0;
    part["prompt_eval_count"] = finish.usage.prompt_tokens;
    part["prompt_eval_duration"] = nanoseconds(timings.prefill_ms);
    part["eval_count"] = finish.usage.completion_tokens;
    part["eval_duration"] = nanoseconds(timings.decode_ms);
    return part;
  }

  OllamaKind kind_;
  std::string model_;
  LogprobWriter writer_;
};

Task<void> answer(const ApiContext& context, Exchange& exchange, OllamaCall call, OllamaKind kind) {
  OllamaForm form(kind, call.model, context.engine);
  if (call.is_empty) {
    co_await exchange.respond(json_response(form.loaded()));
    co_return;
  }
  co_await answer_one(context, exchange, std::move(call.door), form);
}

}  // namespace

Task<void> handle_ollama_chat(const ApiContext& context, Exchange& exchange) {
  OllamaCall call = parse_ollama_chat(exchange.request().body, context.model);
  co_await answer(context, exchange, std::move(call), OllamaKind::chat);
}

Task<void> handle_ollama_generate(const ApiContext& context, Exchange& exchange) {
  OllamaCall call = parse_ollama_generate(exchange.request().body, context.model);
  co_await answer(context, exchange, std::move(call), OllamaKind::generate);
}

}  // namespace mlxs
