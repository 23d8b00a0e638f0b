// POST /tokenize. A body with `content` is llama-server's, one with `prompt` or `messages` vLLM's.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "mlx_serving/request.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"
#include "server/openai/api_model.h"
#include "server/openai/error_body.h"
#include "server/openai/field_reader.h"
#include "server/prompt/prompt_body.h"
#include "server/prompt/routes.h"

namespace mlxs {
namespace {

enum class PieceForm {
  none,
  pieces,   // llama-server's: objects of id and piece, bytes as numbers where they are no text
  strings,  // vLLM's: a list beside the ids
};

struct TokenizeCall {
  std::string text;
  std::optional<ChatPrompt> chat;  // instead of the text
  TokenizeOptions options;
  PieceForm pieces = PieceForm::none;
  bool is_vllm = false;
};

TokenizeCall parse_llama_call(FieldReader& fields) {
  TokenizeCall call;
  call.text = std::string(fields.string("content").value_or(""));
  call.options.add_special_tokens = fields.boolean("add_special").value_or(false);
  call.options.parse_special_tokens = fields.boolean("parse_special").value_or(true);
  if (fields.boolean("with_pieces").value_or(false)) call.pieces = PieceForm::pieces;
  return call;
}

// The fields of a chat go to the reader of chats.
ChatPrompt take_chat(FieldReader& fields, const json::object& body, const ApiModel& model) {
  json::object chat;
  for (const char* name : {"messages", "tools", "chat_template_kwargs", "add_generation_prompt"}) {
    fields.accept({name});
    if (const json::value* value = body.if_contains(name)) chat[name] = *value;
  }
  fields.refuse({"chat_template", "mm_processor_kwargs"});
  if (fields.boolean("continue_final_message").value_or(false)) {
    throw Error(
        ErrorCode::unsupported,
        "continue_final_message is not supported by this server; leave it out",
        "continue_final_message"
    );
  }
  Call call = parse_chat_object(std::move(chat), model);
  return std::get<ChatPrompt>(std::move(call.requests.front().prompt));
}

TokenizeCall parse_vllm_call(FieldReader& fields, const json::object& body, const ApiModel& model) {
  TokenizeCall call;
  call.is_vllm = true;
  const auto prompt = fields.string("prompt");
  const bool is_chat = body.contains("messages");
  if (is_chat == prompt.has_value()) {
    throw Error(
        ErrorCode::invalid_request, "you must provide one of content, prompt and messages", "prompt"
    );
  }
  if (is_chat) call.chat = take_chat(fields, body, model);
  call.text = std::string(prompt.value_or(""));
  call.options.add_special_tokens = fields.boolean("add_special_tokens").value_or(!is_chat);
  if (fields.boolean("return_token_strs").value_or(false)) call.pieces = PieceForm::strings;
  return call;
}

TokenizeCall parse_tokenize_call(const std::string& text, const ApiModel& model) {
  const json::value value = parse_json(text);
  FieldReader fields(value, "");
  if (const auto name = fields.string("model")) check_model_name(model, *name);
  TokenizeCall call = fields.any("content") != nullptr
                          ? parse_llama_call(fields)
                          : parse_vllm_call(fields, value.get_object(), model);
  fields.finish();
  return call;
}

json::value piece_of(std::string_view bytes) {
  if (valid_utf8(bytes) == bytes) return json::string(to_json_view(bytes));
  json::array numbers;
  for (const char c : bytes)
    numbers.push_back(static_cast<std::int64_t>(static_cast<unsigned char>(c)));
  return numbers;
}

json::value llama_reply(
    const Engine& engine, const TokenizeCall& call, const std::vector<std::int32_t>& ids
) {
  json::array tokens;
  for (const std::int32_t id : ids) {
    if (call.pieces == PieceForm::none) {
      tokens.push_back(id);
      continue;
    }
    tokens.push_back(json::object{{"id", id}, {"piece", piece_of(engine.token_bytes(id))}});
  }
  json::object body;
  body["tokens"] = std::move(tokens);
  return body;
}

json::value vllm_reply(
    const Engine& engine, const TokenizeCall& call, const std::vector<std::int32_t>& ids
) {
  json::object body;
  body["count"] = ids.size();
  body["max_model_len"] = engine.model().context_length;
  body["tokens"] = json::array(ids.begin(), ids.end());
  body["token_strs"] = nullptr;
  if (call.pieces == PieceForm::none) return body;
  json::array strings;
  for (const std::int32_t id : ids)
    strings.push_back(json::string(valid_utf8(engine.token_bytes(id))));
  body["token_strs"] = std::move(strings);
  return body;
}

json::value tokenize(const Engine& engine, const TokenizeCall& call) {
  const std::string text = call.chat ? engine.apply_template(*call.chat) : call.text;
  const std::vector<std::int32_t> ids = engine.tokenize(text, call.options);
  return call.is_vllm ? vllm_reply(engine, call, ids) : llama_reply(engine, call, ids);
}

}  // namespace

Task<void> handle_tokenize(const ApiContext& context, Exchange& exchange) {
  const TokenizeCall call = parse_tokenize_call(exchange.request().body, context.model);
  const json::value body =
      co_await context.offload.run([&] { return tokenize(context.engine, call); });
  co_await exchange.respond(json_response(body));
}

}  // namespace mlxs
