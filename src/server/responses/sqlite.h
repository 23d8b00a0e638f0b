// SQLite with owners: a database, and statements that are finalised with their scope.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace mlxs {

// Thread safety: none; and a statement must not outlive its database.
class SqliteStatement {
 public:
  // Parameters and columns are counted from 1 and from 0, as SQLite does.
  SqliteStatement& bind(int index, std::string_view text);
  SqliteStatement& bind(int index, std::int64_t number);

  // RETURNS: whether there is a row to read. ERRORS: Error(io_error).
  bool step();
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;

 private:
  friend class SqliteDatabase;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };

  SqliteStatement(sqlite3* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}

  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// Thread safety: none.
class SqliteDatabase {
 public:
  // Opens or creates the file; ":memory:" is one that ends with this. ERRORS: Error(io_error).
  explicit SqliteDatabase(const std::string& path);

  // ERRORS: Error(io_error).
  void execute(const char* sql);
  [[nodiscard]] SqliteStatement prepare(std::string_view sql);
  // RETURNS: the rows that the last statement changed.
  [[nodiscard]] int num_changed() const;

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };

  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace mlxs
