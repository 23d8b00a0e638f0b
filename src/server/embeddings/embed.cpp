// Nothing is sent before all are done, so an error always has a status of its own.
#include "server/embeddings/embed.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <bit>
#include <boost/asio/this_coro.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"
#include "server/api_context.h"
#include "server/door/answer_one.h"
#include "server/generation_group.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {
namespace {

// RETURNS: the last event of each request, with what came before added to it.
Task<std::vector<Event>> run_all(
    const ApiContext& context, Exchange& exchange, std::vector<Request> requests
) {
  check_not_draining(context);
  for (Request& request : requests) {
    request.label = exchange.request().id;
    request.scheduling.key = exchange.request().share;
    request.scheduling.key_weight = exchange.request().weight;
  }
  const Executor executor = co_await boost::asio::this_coro::executor;
  GenerationGroup group(context, std::move(requests), /*num_choices=*/1, executor);
  std::vector<Event> results(group.size());
  while (std::optional<GroupEvent> event = co_await group.next()) {
    Event& result = results.at(event->index);
    for (TokenLogprobs& told : event->event.logprobs) result.logprobs.push_back(std::move(told));
    if (!event->event.finish) continue;
    const Finish& finish = *event->event.finish;
    if (finish.reason == FinishReason::error)
      throw finish.error.value_or(Error(ErrorCode::engine_error, "the request failed"));
    if (finish.reason == FinishReason::cancelled)
      throw Error(ErrorCode::cancelled, "the request was cancelled");
    result.embedding = std::move(event->event.embedding);
    result.finish = finish;
  }
  co_return results;
}

Usage usage_of(const std::vector<Event>& results, Exchange& exchange) {
  Usage usage;
  for (const Event& result : results) {
    const Usage one = result.finish ? result.finish->usage : Usage{};
    usage.prompt_tokens += one.prompt_tokens;
    usage.cached_tokens += one.cached_tokens;
  }
  exchange.note("prompt_tokens", static_cast<std::size_t>(usage.prompt_tokens));
  return usage;
}

void cut(std::vector<float>& values, std::optional<int> dimensions) {
  if (!dimensions) return;
  const auto wanted = static_cast<std::size_t>(*dimensions);
  if (wanted > values.size()) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("dimensions is {}, but the model's embeddings have {}", wanted, values.size()),
        "dimensions"
    );
  }
  values.resize(wanted);
}

void normalize(std::vector<float>& values) {
  double squares = 0.0;
  for (const float value : values) squares += double{value} * double{value};
  if (squares <= 0.0) return;
  const double length = std::sqrt(squares);
  for (float& value : values) value = static_cast<float>(double{value} / length);
}

}  // namespace

Task<Embedded> embed(const ApiContext& context, Exchange& exchange, EmbedCall call) {
  std::vector<Event> results = co_await run_all(context, exchange, std::move(call.requests));
  Embedded embedded;
  embedded.usage = usage_of(results, exchange);
  for (Event& result : results) {
    cut(result.embedding, call.dimensions);
    if (call.is_normalized) normalize(result.embedding);
    embedded.embeddings.push_back(std::move(result.embedding));
    if (result.finish)
      embedded.prefill_ms = std::max(embedded.prefill_ms, result.finish->timings.prefill_ms);
  }
  co_return embedded;
}

Task<Told> ask_logprobs(
    const ApiContext& context, Exchange& exchange, std::vector<Request> requests
) {
  std::vector<Event> results = co_await run_all(context, exchange, std::move(requests));
  Told told;
  told.usage = usage_of(results, exchange);
  for (Event& result : results) told.logprobs.push_back(std::move(result.logprobs));
  co_return told;
}

std::string base64_of(const std::vector<float>& values) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::uint32_t> bytes;
  bytes.reserve(values.size() * 4);
  for (const float value : values) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    for (const unsigned shift : {0U, 8U, 16U, 24U}) bytes.push_back((word >> shift) & 0xFFU);
  }
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) group = (group << 8U) | (i < count ? bytes[at + i] : 0U);
    for (std::size_t i = 0; i < 4; ++i) {
      const unsigned shift = 18U - 6U * static_cast<unsigned>(i);
      text.push_back(i <= count ? kDigits[(group >> shift) & 63U] : '=');
    }
  }
  return text;
}

}  // namespace mlxs
