#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

// As much of SQLite as the store needs: what is opened is closed, and what fails is a value.

namespace sallyport::store {

/// What SQLite said. `text` never has a bound value in it.
struct SqliteError {
  int code;  ///< a primary result code, such as SQLITE_BUSY
  std::string text;
};
template <typename T>
using SqliteResult = std::expected<T, SqliteError>;

/// A prepared statement. Must not outlive its database. A value that could not be bound makes `step` fail.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  /// Parameters count from 1. Texts and blobs are borrowed until the statement has been `run` or `reset`.
  Statement& bind(int parameter, std::int64_t value);
  Statement& bind(int parameter, std::string_view text);
  Statement& bind(int parameter, std::span<const std::uint8_t> blob);
  Statement& bind(int parameter, std::nullopt_t);

  /// True: there is a row. False: there are no more.
  [[nodiscard]] SqliteResult<bool> step();
  /// All of it, without looking at rows; ready to be bound and run again, whether it failed or not.
  [[nodiscard]] SqliteResult<void> run();
  void reset();

  /// Of the row, columns count from 0. What is borrowed holds until the next step.
  [[nodiscard]] bool null(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] std::span<const std::uint8_t> blob(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };
  void remember(int code) noexcept;
  [[nodiscard]] SqliteError error(int code) const;

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int fault_ = 0;
};

/// An open database, used by one thread at a time.
class Database {
 public:
  Database() = default;
  /// An existing file, for reading and writing; `path` is absolute.
  [[nodiscard]] static SqliteResult<Database> open(const std::string& path);

  [[nodiscard]] SqliteResult<void> execute(const std::string& sql);
  [[nodiscard]] SqliteResult<Statement> prepare(std::string_view sql);
  /// The first column of the first row, as text; nothing if there is no row.
  [[nodiscard]] SqliteResult<std::optional<std::string>> ask(std::string_view sql);
  [[nodiscard]] bool in_transaction() const noexcept;
  /// SQLite opens what may not be written for reading alone.
  [[nodiscard]] bool read_only() const noexcept;

 private:
  struct Close {
    void operator()(sqlite3* database) const noexcept;
  };
  [[nodiscard]] SqliteError error(int code) const;

  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace sallyport::store
