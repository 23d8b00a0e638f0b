// Inputs are texts or token ids, one or many.
#include "server/embeddings/call.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/request.h"
#include "server/door/neutral_fields.h"
#include "server/door/sampler_fields.h"
#include "server/ollama/call.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"
#include "server/openai/prompt_input.h"

namespace mlxs {
namespace {

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr IntegerRule kDimensions{"dimensions", 1, kInt32Max};
constexpr IntegerRule kPriority{"priority", -1000, 1000};
constexpr IntegerRule kNormalize{"embd_normalize", -1, 2};
constexpr IntegerRule kTopN{"top_n", 1, kInt32Max};
constexpr std::size_t kMaxInputs = 2048;  // OpenAI's
constexpr std::size_t kMaxDocuments = 1024;

[[noreturn]] void missing(const std::string& field) {
  throw Error(
      ErrorCode::invalid_request, fmt::format("you must provide a {} parameter", field), field
  );
}

std::string read_model_name(FieldReader& fields, const ApiModel& model) {
  const auto name = fields.string("model");
  if (!name) missing("model");
  check_model_name(model, *name);
  return std::string(*name);
}

std::vector<Request> make_requests(std::vector<Prompt> prompts, const Request& form) {
  std::vector<Request> requests;
  for (Prompt& prompt : prompts) {
    requests.push_back(form);
    requests.back().prompt = std::move(prompt);
  }
  return requests;
}

std::vector<Prompt> read_inputs(FieldReader& fields, std::string_view name, const ApiModel& model) {
  const json::value* input = fields.any(name);
  if (input == nullptr) missing(std::string(name));
  return read_prompt_input(
      *input, {.field = name, .vocab_size = model.info.vocab_size, .max_prompts = kMaxInputs}
  );
}

std::optional<int> read_dimensions(FieldReader& fields) {
  const auto dimensions = fields.integer(kDimensions);
  if (!dimensions) return std::nullopt;
  return static_cast<int>(*dimensions);
}

std::string read_ollama_model(FieldReader& fields, const ApiModel& model) {
  const auto name = fields.string("model");
  if (!name) throw Error(ErrorCode::invalid_request, "model is required", "model");
  static_cast<void>(check_ollama_model(model, *name));
  fields.accept({"keep_alive", "options"});  // of a model that stays, and of sampling
  return std::string(*name);
}

std::string read_document(const json::value& value, const std::string& path) {
  if (value.is_string()) return std::string(to_view(value.get_string()));
  if (!value.is_object()) throw_wrong_type(path, "a string or an object with text", value);
  FieldReader document(value, path);
  const auto text = document.string("text");
  if (!text) missing(path + ".text");
  document.finish();
  return std::string(*text);
}

}  // namespace

EmbeddingsCall parse_embeddings_call(
    std::string_view body, const ApiModel& model, Pooling pooling
) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  EmbeddingsCall call;
  call.model = read_model_name(fields, model);
  const auto format = fields.word("encoding_format", {"float", "base64"});
  call.is_base64 = format && *format == "base64";
  call.embed.dimensions = read_dimensions(fields);
  Request form;
  form.pooling = pooling;
  form.truncate_prompt_tokens = read_truncation(fields);
  if (const auto priority = fields.integer(kPriority))
    form.scheduling.priority = static_cast<int>(*priority);
  static_cast<void>(fields.string("user"));
  call.embed.requests = make_requests(read_inputs(fields, "input", model), form);
  fields.finish();
  return call;
}

EmbedCall parse_llama_embedding(std::string_view body, const ApiModel& model, Pooling pooling) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  EmbedCall call;
  if (const auto name = fields.string("model")) check_model_name(model, *name);
  const auto normalize = fields.integer(kNormalize);
  if (normalize && *normalize != -1 && *normalize != 2)
    throw_unsupported("embd_normalize other than -1 and 2");
  call.is_normalized = normalize.value_or(2) == 2;
  const json::object& object = value.get_object();
  const std::string_view name = object.contains("content") ? "content" : "input";
  Request form;
  form.pooling = pooling;
  call.requests = make_requests(read_inputs(fields, name, model), form);
  fields.finish();
  return call;
}

EmbeddingsCall parse_ollama_embed(std::string_view body, const ApiModel& model, Pooling pooling) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  EmbeddingsCall call;
  call.model = read_ollama_model(fields, model);
  call.embed.dimensions = read_dimensions(fields);
  Request form;
  form.pooling = pooling;
  if (fields.boolean("truncate").value_or(true)) form.truncate_prompt_tokens = -1;
  call.embed.requests = make_requests(read_inputs(fields, "input", model), form);
  fields.finish();
  return call;
}

EmbeddingsCall parse_ollama_embeddings(
    std::string_view body, const ApiModel& model, Pooling pooling
) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  EmbeddingsCall call;
  call.model = read_ollama_model(fields, model);
  call.embed.is_normalized = false;  // as Ollama's was
  const auto text = fields.string("prompt");
  if (!text) missing("prompt");
  Request form;
  form.pooling = pooling;
  form.prompt = std::string(*text);
  call.embed.requests.push_back(std::move(form));
  fields.finish();
  return call;
}

RerankCall parse_rerank_call(std::string_view body, const ApiModel& model) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  RerankCall call;
  call.model = read_model_name(fields, model);
  const auto query = fields.string("query");
  if (!query) missing("query");
  call.query = std::string(*query);
  call.instruction = std::string(
      fields.string("instruction")
          .value_or("Given a web search query, retrieve relevant passages that answer the query")
  );
  const json::array* documents = fields.array("documents");
  if (documents == nullptr) missing("documents");
  if (documents->empty() || documents->size() > kMaxDocuments) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format(
            "documents must have 1 to {} entries, got {}", kMaxDocuments, documents->size()
        ),
        "documents"
    );
  }
  for (std::size_t i = 0; i < documents->size(); ++i)
    call.documents.push_back(read_document((*documents)[i], element_path("documents", i)));
  if (const auto top_n = fields.integer(kTopN)) call.top_n = static_cast<std::size_t>(*top_n);
  call.returns_documents = fields.boolean("return_documents").value_or(false);
  fields.finish();
  return call;
}

}  // namespace mlxs
