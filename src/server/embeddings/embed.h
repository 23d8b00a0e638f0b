// Runs prompts on the engine for their embeddings, in the same batches and under the same
// priorities as everything else.
#pragma once

#include <optional>
#include <vector>

#include "mlx_serving/request.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

struct EmbedCall {
  std::vector<Request> requests;  // one a text, with Request::pooling
  std::optional<int> dimensions;  // only the first so many; none: all
  bool is_normalized = true;      // to the length 1, after it was cut
};

struct Embedded {
  std::vector<std::vector<float>> embeddings;  // one a request
  Usage usage;
  double prefill_ms = 0.0;  // of the slowest
};

// ERRORS: Error, as answer_one; invalid_value for more dimensions than the model has.
Task<Embedded> embed(const ApiContext& context, Exchange& exchange, EmbedCall call);

// Waits for the ends of requests that generate one token each. RETURNS: what each told with its
// token. ERRORS: as above.
struct Told {
  std::vector<std::vector<TokenLogprobs>> logprobs;
  Usage usage;
};
Task<Told> ask_logprobs(
    const ApiContext& context, Exchange& exchange, std::vector<Request> requests
);

// RETURNS: the little-endian bytes of the floats in base64.
[[nodiscard]] std::string base64_of(const std::vector<float>& values);

}  // namespace mlxs
