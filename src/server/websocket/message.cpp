// What handlers write is JSON already, so it is put into the messages as it is.
#include "server/websocket/message.h"

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxIdBytes = 128;
constexpr std::string_view kDone = "[DONE]";

std::string id_text(std::string_view id) { return id.empty() ? "null" : json_quote(id); }

std::string read_id(FieldReader& fields) {
  const auto id = fields.string("id");
  if (id && !id->empty() && id->size() <= kMaxIdBytes) return std::string(*id);
  throw Error(
      ErrorCode::invalid_request,
      fmt::format("a message needs an id, a string of 1 to {} bytes", kMaxIdBytes),
      "id"
  );
}

void add_event(std::string_view id, std::string_view event, std::vector<std::string>& messages) {
  std::string_view name;
  if (event.starts_with("event: ")) {
    const std::size_t end = event.find('\n');
    name = event.substr(7, end - 7);
    event.remove_prefix(end == std::string_view::npos ? event.size() : end + 1);
  }
  if (!event.starts_with("data: ")) return;
  const std::string_view data = event.substr(6);
  if (data != kDone) messages.push_back(part_message(id, name, data));
}

}  // namespace

SocketMessage parse_socket_message(std::string_view text) {
  const json::value value = parse_json(text);
  FieldReader fields(value, "");
  SocketMessage message;
  message.id = read_id(fields);
  message.is_cancel = fields.boolean("cancel").value_or(false);
  message.method = std::string(fields.word("method", {"GET", "POST", "DELETE"}).value_or("POST"));
  const std::string_view target = fields.string("path").value_or("");
  if (const json::value* body = fields.any("body")) message.body = json::serialize(*body);
  fields.finish();
  if (message.is_cancel) return message;
  if (!target.starts_with('/')) {
    throw Error(
        ErrorCode::invalid_request, "a request needs a path, as in \"/v1/chat/completions\"", "path"
    );
  }
  const std::size_t query = target.find('?');
  message.path = std::string(target.substr(0, query));
  if (query != std::string_view::npos) message.query = std::string(target.substr(query + 1));
  return message;
}

std::string whole_message(std::string_view id, int status, std::string_view body) {
  return fmt::format(
      R"({{"id":{},"status":{},"body":{}}})", id_text(id), status, body.empty() ? "null" : body
  );
}

std::string part_message(std::string_view id, std::string_view event, std::string_view data) {
  if (event.empty()) return fmt::format(R"({{"id":{},"data":{}}})", id_text(id), data);
  return fmt::format(R"({{"id":{},"event":{},"data":{}}})", id_text(id), json_quote(event), data);
}

std::string end_message(std::string_view id, SocketStreamEnd end) {
  return fmt::format(
      R"({{"id":{},"done":{}}})", id_text(id), end == SocketStreamEnd::complete ? "true" : "false"
  );
}

std::vector<std::string> messages_of_piece(
    std::string_view id, std::string_view content_type, std::string_view piece
) {
  std::vector<std::string> messages;
  const bool is_events = content_type.starts_with("text/event-stream");
  const std::string_view separator = is_events ? "\n\n" : "\n";
  while (!piece.empty()) {
    const std::size_t end = piece.find(separator);
    const std::string_view part = piece.substr(0, end);
    piece.remove_prefix(end == std::string_view::npos ? piece.size() : end + separator.size());
    if (is_events) {
      add_event(id, part, messages);
    } else if (!part.empty()) {
      messages.push_back(part_message(id, {}, part));
    }
  }
  return messages;
}

}  // namespace mlxs
