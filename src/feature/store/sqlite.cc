#include "feature/store/sqlite.h"

#include <sqlite3.h>

namespace sallyport::store {
namespace {

constexpr int kPrimary = 0xff;  // an extended result code has its primary one in the lowest byte

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }

void Statement::remember(int code) noexcept {
  if (fault_ == SQLITE_OK) fault_ = code;
}

SqliteError Statement::error(int code) const {
  sqlite3* const database = sqlite3_db_handle(statement_.get());
  // A value that is too long for SQLite leaves no words of its own.
  return {code & kPrimary, fault_ != SQLITE_OK ? sqlite3_errstr(code) : sqlite3_errmsg(database)};
}

Statement& Statement::bind(int parameter, std::int64_t value) {
  remember(sqlite3_bind_int64(statement_.get(), parameter, value));
  return *this;
}

Statement& Statement::bind(int parameter, std::string_view text) {
  // An empty view may point nowhere, which SQLite would take for NULL.
  const char* const from = text.empty() ? "" : text.data();
  remember(sqlite3_bind_text64(statement_.get(), parameter, from, text.size(), SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind(int parameter, std::span<const std::uint8_t> blob) {
  remember(sqlite3_bind_blob64(statement_.get(), parameter, blob.data(), blob.size(), SQLITE_STATIC));
  return *this;
}

Statement& Statement::bind(int parameter, std::nullopt_t) {
  remember(sqlite3_bind_null(statement_.get(), parameter));
  return *this;
}

SqliteResult<bool> Statement::step() {
  if (fault_ != SQLITE_OK) return std::unexpected(error(fault_));
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return std::unexpected(error(code));
}

SqliteResult<void> Statement::run() {
  SqliteResult<bool> row = step();
  while (row && *row) row = step();
  reset();
  if (!row) return std::unexpected(std::move(row.error()));
  return {};
}

void Statement::reset() {
  // What the last step said is said again here, and has been heard.
  (void)sqlite3_reset(statement_.get());
  (void)sqlite3_clear_bindings(statement_.get());
  fault_ = SQLITE_OK;
}

bool Statement::null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::string_view Statement::text(int column) const {
  const unsigned char* const from = sqlite3_column_text(statement_.get(), column);
  if (from == nullptr) return {};
  return {reinterpret_cast<const char*>(from),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::span<const std::uint8_t> Statement::blob(int column) const {
  const auto* const from = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_.get(), column));
  if (from == nullptr) return {};
  return {from, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

void Database::Close::operator()(sqlite3* database) const noexcept { (void)sqlite3_close_v2(database); }

SqliteError Database::error(int code) const { return {code & kPrimary, sqlite3_errmsg(database_.get())}; }

SqliteResult<Database> Database::open(const std::string& path) {
  sqlite3* opened = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database;
  database.database_.reset(opened);  // also where it failed, there is something to close
  if (code == SQLITE_OK) return database;
  if (opened == nullptr) return std::unexpected(SqliteError{code & kPrimary, sqlite3_errstr(code)});
  return std::unexpected(database.error(code));
}

SqliteResult<void> Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code));
  return {};
}

SqliteResult<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code));
  return Statement(statement);
}

SqliteResult<std::optional<std::string>> Database::ask(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return std::unexpected(std::move(statement.error()));
  const auto row = statement->step();
  if (!row) return std::unexpected(row.error());
  if (!*row) return std::nullopt;
  return std::string(statement->text(0));
}

bool Database::in_transaction() const noexcept { return sqlite3_get_autocommit(database_.get()) == 0; }

bool Database::read_only() const noexcept { return sqlite3_db_readonly(database_.get(), "main") == 1; }

}  // namespace sallyport::store
