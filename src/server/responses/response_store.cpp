// Unfinished is one status: what waits is also "in_progress" here.
#include "server/responses/response_store.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/thread_annotations.h"
#include "server/responses/sqlite.h"

namespace mlxs {
namespace {

constexpr const char* kSchema =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = NORMAL;"
    "CREATE TABLE IF NOT EXISTS responses ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " owner TEXT NOT NULL,"
    " status TEXT NOT NULL,"
    " response TEXT NOT NULL,"
    " input TEXT NOT NULL,"
    " conversation TEXT NOT NULL);";

std::string failed_response(const std::string& response) {
  json::value value = parse_json(response);
  json::object& object = value.as_object();
  object["status"] = "failed";
  object["error"] = {
      {"code", "server_error"}, {"message", "the server stopped before the response was complete"}
  };
  return json::serialize(object);
}

void fail_unfinished(SqliteDatabase& database) {
  std::vector<std::string> ids;
  std::vector<std::string> responses;
  SqliteStatement unfinished =
      database.prepare("SELECT id, response FROM responses WHERE status = 'in_progress'");
  while (unfinished.step()) {
    ids.push_back(unfinished.text(0));
    responses.push_back(failed_response(unfinished.text(1)));
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    SqliteStatement update =
        database.prepare("UPDATE responses SET status = 'failed', response = ?2 WHERE id = ?1");
    update.bind(1, ids[i]).bind(2, responses[i]).step();
  }
}

}  // namespace

ResponseStore::ResponseStore(const std::string& path, std::int64_t max_responses)
    : max_responses_(max_responses), database_(path) {
  MutexLock lock(mutex_);
  database_.execute(kSchema);
  fail_unfinished(database_);
}

void ResponseStore::insert(const StoredResponse& response) {
  MutexLock lock(mutex_);
  SqliteStatement insert = database_.prepare(
      "INSERT INTO responses (id, owner, status, response, input, conversation)"
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
  );
  insert.bind(1, response.id)
      .bind(2, response.owner)
      .bind(3, response.status)
      .bind(4, response.response)
      .bind(5, response.input)
      .bind(6, response.conversation)
      .step();
  SqliteStatement trim = database_.prepare(
      "DELETE FROM responses WHERE number <= (SELECT max(number) FROM responses) - ?1"
  );
  trim.bind(1, max_responses_).step();
}

bool ResponseStore::finish(const StoredResponse& response) {
  MutexLock lock(mutex_);
  SqliteStatement update = database_.prepare(
      "UPDATE responses SET status = ?3, response = ?4, conversation = ?5"
      " WHERE id = ?1 AND owner = ?2 AND status = 'in_progress'"
  );
  update.bind(1, response.id)
      .bind(2, response.owner)
      .bind(3, response.status)
      .bind(4, response.response)
      .bind(5, response.conversation)
      .step();
  return database_.num_changed() > 0;
}

std::optional<StoredResponse> ResponseStore::find(std::string_view id, std::string_view owner) {
  MutexLock lock(mutex_);
  SqliteStatement select = database_.prepare(
      "SELECT id, owner, status, response, input, conversation FROM responses"
      " WHERE id = ?1 AND owner = ?2"
  );
  if (!select.bind(1, id).bind(2, owner).step()) return std::nullopt;
  return StoredResponse{
      .id = select.text(0),
      .owner = select.text(1),
      .status = select.text(2),
      .response = select.text(3),
      .input = select.text(4),
      .conversation = select.text(5)
  };
}

bool ResponseStore::remove(std::string_view id, std::string_view owner) {
  MutexLock lock(mutex_);
  SqliteStatement remove = database_.prepare("DELETE FROM responses WHERE id = ?1 AND owner = ?2");
  remove.bind(1, id).bind(2, owner).step();
  return database_.num_changed() > 0;
}

}  // namespace mlxs
