// The bodies that ask for embeddings or a ranking, translated.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mlx_serving/request.h"
#include "server/embeddings/embed.h"
#include "server/openai/api_model.h"

namespace mlxs {

struct EmbeddingsCall {
  std::string model;  // as the client named it
  EmbedCall embed;
  bool is_base64 = false;
};

// POST /v1/embeddings. ERRORS: Error with the path of the field; nothing else.
[[nodiscard]] EmbeddingsCall parse_embeddings_call(
    std::string_view body, const ApiModel& model, Pooling pooling
);

// llama-server's /embedding and /embeddings. ERRORS: as above.
[[nodiscard]] EmbedCall parse_llama_embedding(
    std::string_view body, const ApiModel& model, Pooling pooling
);

// Ollama's /api/embed. ERRORS: as above.
[[nodiscard]] EmbeddingsCall parse_ollama_embed(
    std::string_view body, const ApiModel& model, Pooling pooling
);
// Ollama's older /api/embeddings, of one prompt. ERRORS: as above.
[[nodiscard]] EmbeddingsCall parse_ollama_embeddings(
    std::string_view body, const ApiModel& model, Pooling pooling
);

struct RerankCall {
  std::string model;
  std::string query;
  std::string instruction;
  std::vector<std::string> documents;
  std::optional<std::size_t> top_n;
  bool returns_documents = false;
};

// POST /v1/rerank, in Jina's and Cohere's form. ERRORS: as above.
[[nodiscard]] RerankCall parse_rerank_call(std::string_view body, const ApiModel& model);

}  // namespace mlxs
