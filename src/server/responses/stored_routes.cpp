// What can be done with a stored response: read, cancel, delete, and read what was asked.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/query.h"
#include "server/http/task.h"
#include "server/openai/field_reader.h"
#include "server/prompt/prompt_body.h"
#include "server/responses/background_jobs.h"
#include "server/responses/find_response.h"
#include "server/responses/response_store.h"
#include "server/responses/routes.h"

namespace mlxs {
namespace {

constexpr std::size_t kDefaultLimit = 20;
constexpr std::size_t kMaxLimit = 100;

HttpResponse text_response(std::string body) {
  HttpResponse response;
  response.body = std::move(body);
  return response;
}

std::size_t read_limit(const std::string& query) {
  const std::optional<std::string> text = query_value(query, "limit");
  if (!text) return kDefaultLimit;
  std::size_t limit = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
  if (error != std::errc{} || end != text->data() + text->size() || limit < 1 || limit > kMaxLimit)
    throw Error(ErrorCode::invalid_value, "limit must be an integer from 1 to 100", "limit");
  return limit;
}

// The newest first, unless asked for otherwise.
json::array ordered_items(const std::string& input, const std::string& query) {
  json::array items = parse_json(input).as_array();
  const std::string order = query_value(query, "order").value_or("desc");
  if (order != "asc" && order != "desc")
    throw Error(ErrorCode::invalid_value, "order must be asc or desc", "order");
  if (order == "desc") std::reverse(items.begin(), items.end());
  return items;
}

json::object page_of(const json::array& items, const std::string& query) {
  const std::size_t limit = read_limit(query);
  std::size_t first = 0;
  if (const auto after = query_value(query, "after")) {
    const auto found = std::find_if(items.begin(), items.end(), [&](const json::value& item) {
      return to_view(item.at("id").as_string()) == *after;
    });
    if (found == items.end())
      throw Error(ErrorCode::invalid_value, "after names no item of this response", "after");
    first = static_cast<std::size_t>(found - items.begin()) + 1;
  }
  const std::size_t last = std::min(items.size(), first + limit);
  json::array page;
  for (std::size_t i = first; i < last; ++i) page.push_back(items[i]);
  json::object body;
  body["object"] = "list";
  body["first_id"] = page.empty() ? json::value(nullptr) : page.front().at("id");
  body["last_id"] = page.empty() ? json::value(nullptr) : page.back().at("id");
  body["has_more"] = last < items.size();
  body["data"] = std::move(page);
  return body;
}

// RETURNS: what the response becomes when it is cancelled. ERRORS: 400 for one that nobody can
// cancel.
StoredResponse cancelled(StoredResponse stored) {
  json::value response = parse_json(stored.response);
  if (!response.at("background").as_bool()) {
    throw HttpError(
        client_fault(400, "only a response that was made with background=true can be cancelled")
    );
  }
  response.as_object()["status"] = "cancelled";
  stored.status = "cancelled";
  stored.response = json::serialize(response);
  return stored;
}

}  // namespace

void throw_no_response(const std::string& id) {
  throw HttpError(client_fault(404, "Response with id '" + id.substr(0, 100) + "' not found."));
}

Task<StoredResponse> find_response(
    const ApiContext& context, const Exchange& exchange, const std::string& id
) {
  const std::string owner = exchange.request().owner;
  std::optional<StoredResponse> stored =
      co_await context.offload.run([&] { return context.responses.find(id, owner); });
  if (!stored) throw_no_response(id);
  co_return std::move(*stored);
}

Task<void> handle_response_get(const ApiContext& context, Exchange& exchange) {
  const std::string& query = exchange.request().query;
  if (query_value(query, "stream").value_or("false") == "true") {
    throw Error(
        ErrorCode::unsupported,
        "stream is not supported for stored responses by this server; leave it out",
        "stream"
    );
  }
  StoredResponse stored = co_await find_response(context, exchange, exchange.request().tail);
  co_await exchange.respond(text_response(std::move(stored.response)));
}

Task<void> handle_response_cancel(const ApiContext& context, Exchange& exchange) {
  const std::string id = exchange.request().tail;
  StoredResponse stored = co_await find_response(context, exchange, id);
  const StoredResponse wanted = cancelled(std::move(stored));
  static_cast<void>(co_await context.offload.run([&] { return context.responses.finish(wanted); }));
  context.jobs.cancel(id);
  // It may have ended by itself before.
  StoredResponse result = co_await find_response(context, exchange, id);
  co_await exchange.respond(text_response(std::move(result.response)));
}

Task<void> handle_response_delete(const ApiContext& context, Exchange& exchange) {
  const std::string id = exchange.request().tail;
  const std::string owner = exchange.request().owner;
  const bool was_there =
      co_await context.offload.run([&] { return context.responses.remove(id, owner); });
  if (!was_there) throw_no_response(id);
  context.jobs.cancel(id);
  json::object body;
  body["id"] = id;
  body["object"] = "response";
  body["deleted"] = true;
  co_await exchange.respond(json_response(body));
}

Task<void> handle_response_input_items(const ApiContext& context, Exchange& exchange) {
  const StoredResponse stored = co_await find_response(context, exchange, exchange.request().tail);
  const std::string& query = exchange.request().query;
  const json::object body = page_of(ordered_items(stored.input, query), query);
  co_await exchange.respond(json_response(body));
}

}  // namespace mlxs
