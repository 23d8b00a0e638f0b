// POST /v1/rerank: a generative reranker of Qwen3-Reranker's kind is asked whether a document
// answers a query, and the score is its probability of "yes" against "no", as its model card has
// it: https://huggingface.co/Qwen/Qwen3-Reranker-0.6B.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "mlx_serving/request.h"
#include "server/api_context.h"
#include "server/embeddings/call.h"
#include "server/embeddings/embed.h"
#include "server/embeddings/routes.h"
#include "server/http/exchange.h"
#include "server/http/task.h"
#include "server/prompt/prompt_body.h"

namespace mlxs {
namespace {

constexpr const char* kPrefix =
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    "the Instruct provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n"
    "<|im_start|>user\n";
constexpr const char* kSuffix = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";

bool names_a_reranker(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return name.find("rerank") != std::string::npos;
}

// ERRORS: unsupported, in words.
void check_can_rerank(const ApiContext& context) {
  const bool can = context.rerank == RerankUse::on || (context.rerank == RerankUse::automatic &&
                                                       names_a_reranker(context.model.info.name));
  if (can) return;
  throw Error(
      ErrorCode::unsupported,
      fmt::format(
          "{} is no reranker: this server ranks with models of Qwen3-Reranker's kind, which answer "
          "yes or no; start it with --rerank on where this is one",
          context.model.info.name
      ),
      "model"
  );
}

std::int32_t token_of(const Engine& engine, const char* word) {
  const std::vector<std::int32_t> ids = engine.tokenize(word);
  if (ids.size() == 1) return ids.front();
  throw Error(
      ErrorCode::unsupported,
      fmt::format("{} is not one token of this model, so it cannot rank", word),
      "model"
  );
}

std::vector<Request> make_requests(const Engine& engine, const RerankCall& call) {
  Request form;
  form.sampling.temperature = 0.0F;
  form.sampling.logprobs.num_top = 2;
  form.sampling.logprobs.token_ids = {token_of(engine, "yes"), token_of(engine, "no")};
  form.stop.max_tokens = 1;
  form.stop.ignore_eos = true;
  std::vector<Request> requests;
  for (const std::string& document : call.documents) {
    requests.push_back(form);
    requests.back().prompt = fmt::format(
        "{}<Instruct>: {}\n<Query>: {}\n<Document>: {}{}",
        kPrefix,
        call.instruction,
        call.query,
        document,
        kSuffix
    );
  }
  return requests;
}

double score_of(const std::vector<TokenLogprobs>& logprobs) {
  const std::vector<TokenLogprob>& words = logprobs.at(0).top;
  const double difference = double{words.at(1).logprob} - double{words.at(0).logprob};
  return 1.0 / (1.0 + std::exp(difference));
}

json::array results_of(const RerankCall& call, const std::vector<double>& scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, [&scores](auto a, auto b) { return scores[a] > scores[b]; });
  order.resize(std::min(order.size(), call.top_n.value_or(order.size())));
  json::array results;
  for (const std::size_t index : order) {
    json::object result;
    result["index"] = index;
    result["relevance_score"] = scores[index];
    if (call.returns_documents) result["document"] = {{"text", call.documents[index]}};
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace

Task<void> handle_rerank(const ApiContext& context, Exchange& exchange) {
  const RerankCall call = parse_rerank_call(exchange.request().body, context.model);
  check_can_rerank(context);
  std::vector<Request> requests =
      co_await context.offload.run([&] { return make_requests(context.engine, call); });
  const Told told = co_await ask_logprobs(context, exchange, std::move(requests));
  std::vector<double> scores;
  for (const auto& logprobs : told.logprobs) scores.push_back(score_of(logprobs));
  json::object body;
  body["object"] = "list";
  body["model"] = call.model;
  body["results"] = results_of(call, scores);
  body["usage"] = {
      {"prompt_tokens", told.usage.prompt_tokens}, {"total_tokens", told.usage.prompt_tokens}
  };
  co_await exchange.respond(json_response(body));
}

}  // namespace mlxs
