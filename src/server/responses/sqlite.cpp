// Texts are copied when they are bound, so that no view has to outlive a step.
#include "server/responses/sqlite.h"

#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr int kBusyTimeoutMs = 5000;

[[noreturn]] void fail(sqlite3* database, const char* what) {
  throw Error(
      ErrorCode::io_error,
      fmt::format("the database could not {}: {}", what, sqlite3_errmsg(database))
  );
}

}  // namespace

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

SqliteStatement& SqliteStatement::bind(int index, std::string_view text) {
  const auto size = static_cast<sqlite3_uint64>(text.size());
  // An empty view may have no address, which SQLite would read as NULL.
  const char* bytes = text.empty() ? "" : text.data();
  if (sqlite3_bind_text64(statement_.get(), index, bytes, size, SQLITE_TRANSIENT, SQLITE_UTF8) !=
      SQLITE_OK)
    fail(database_, "bind a text");
  return *this;
}

SqliteStatement& SqliteStatement::bind(int index, std::int64_t number) {
  if (sqlite3_bind_int64(statement_.get(), index, number) != SQLITE_OK)
    fail(database_, "bind a number");
  return *this;
}

bool SqliteStatement::step() {
  const int result = sqlite3_step(statement_.get());
  if (result != SQLITE_ROW && result != SQLITE_DONE) fail(database_, "run a statement");
  return result == SQLITE_ROW;
}

std::string SqliteStatement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(size));
}

std::int64_t SqliteStatement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

void SqliteDatabase::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

SqliteDatabase::SqliteDatabase(const std::string& path) {
  sqlite3* database = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
  const int result = sqlite3_open_v2(path.c_str(), &database, flags, nullptr);
  database_.reset(database);
  if (result != SQLITE_OK) {
    throw Error(
        ErrorCode::io_error,
        fmt::format("the database {} cannot be opened: {}", path, sqlite3_errstr(result))
    );
  }
  sqlite3_busy_timeout(database, kBusyTimeoutMs);
}

void SqliteDatabase::execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    fail(database_.get(), "run a statement");
}

SqliteStatement SqliteDatabase::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(
          database_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr
      ) != SQLITE_OK)
    fail(database_.get(), "prepare a statement");
  return {database_.get(), statement};
}

int SqliteDatabase::num_changed() const { return sqlite3_changes(database_.get()); }

}  // namespace mlxs
