#include "feature/store/sqlite_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/auth/revocation.h"
#include "feature/store/sqlite.h"

namespace sallyport::store {
namespace {

constexpr std::int64_t kApplication = 0x53414c59;  // "SALY", in the file's header
constexpr std::int64_t kVersion = 1;
constexpr std::chrono::minutes kSweepEvery{10};
constexpr int kSweepMost = 1'000;  // rows, so that no write takes long for its sake
// A clock that is wrong may be set back: what has ended by it is deleted only when it has ended for a while.
constexpr std::chrono::hours kSweepGrace{1};

// Times are milliseconds since 1970, texts are kept byte by byte.
constexpr const char* kSchema = R"sql(
CREATE TABLE revocation (
  id INTEGER PRIMARY KEY,
  issuer TEXT,
  subject TEXT,
  session TEXT,
  token_id TEXT,
  issued_before INTEGER,
  reason TEXT NOT NULL,
  created INTEGER NOT NULL,
  until INTEGER
) STRICT;
CREATE INDEX revocation_until ON revocation (until) WHERE until IS NOT NULL;
CREATE TABLE seen_token (digest BLOB NOT NULL PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX seen_token_until ON seen_token (until);
CREATE TABLE numbering (one INTEGER PRIMARY KEY CHECK (one = 1), last_id INTEGER NOT NULL) STRICT;
INSERT INTO numbering VALUES (1, 0);
)sql";

std::int64_t number(WallTime time) { return time.time_since_epoch().count(); }
WallTime moment(std::int64_t number) { return WallTime(std::chrono::milliseconds(number)); }

std::optional<Failure> reason_of(std::string_view word) {
  for (const Failure each : {Failure::kTokenRevoked, Failure::kLoggedOut}) {
    if (reason(each) == word) return each;
  }
  return std::nullopt;
}

// Why a write-ahead log (https://sqlite.org/wal.html) and synchronous = FULL: a commit is one append and one
// fsync, where a rollback journal needs three or four; a record that a failure cut short is recognised by its
// checksum; and FULL, unlike NORMAL, syncs the log at every commit, so what has been acknowledged is on the
// disk. The exclusive lock is taken before the log is opened, so that there is no shared memory beside the
// file, and held until the end.
class SqliteStore final : public Store {
 public:
  SqliteStore(std::string path, SqliteOptions options)
      : path_(std::move(path)), options_(std::move(options)) {}

  std::expected<Contents, std::string> open(WallTime now) override {
    if (open_) return std::unexpected(path_ + ": is open already");
    std::expected<void, std::string> done = open_file();
    if (done) done = prepare();
    Contents contents;
    if (done) done = load(now, contents);
    if (!done) {
      close();
      return std::unexpected(std::move(done.error()));
    }
    open_ = true;
    swept_ = now_by_clock();
    return contents;
  }

  std::expected<void, std::string> write(const Changes& changes) override {
    if (!open_) return std::unexpected(path_ + ": is not open");
    auto done = apply(changes);
    if (done) return {};
    if (database_.in_transaction()) (void)database_.execute("ROLLBACK");
    return std::unexpected(path_ + ": cannot be written: " + done.error().text);
  }

  void close() noexcept override {
    open_ = false;
    statements_ = {};  // before the database that they belong to
    database_ = {};
  }

 private:
  struct Statements {
    Statement begin, commit, put, erase, seen, number, sweep_revocations, sweep_seen;
  };

  [[nodiscard]] WallTime now_by_clock() const {
    if (options_.clock) return options_.clock();
    return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  }

  [[nodiscard]] std::unexpected<std::string> refuse(const std::string& what) const {
    return std::unexpected(path_ + ": " + what);
  }

  // What SQLite's code means to whoever starts the server.
  [[nodiscard]] std::unexpected<std::string> refuse(const SqliteError& error) const {
    switch (error.code) {
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        return refuse("another process uses this store; stop it, or give each a file of its own");
      case SQLITE_NOTADB:
        return refuse("is not an SQLite database; name another file, or move this one away");
      case SQLITE_CORRUPT:
        return damaged(error.text);
      case SQLITE_CANTOPEN:
      case SQLITE_READONLY:
        return refuse("cannot be opened for writing (" + error.text +
                      "); the file and its folder must be writable by this user");
      case SQLITE_FULL:
        return refuse("the disk is full; make room and start again");
      default:
        return refuse("cannot be opened: " + error.text);
    }
  }

  [[nodiscard]] std::unexpected<std::string> damaged(const std::string& how) const {
    return refuse(
        "is damaged (" + how +
        "); restore a copy, or move it away to begin with an empty one: then what was revoked before is "
        "accepted again until it expires");
  }

  // The file is made here, since SQLite would make it readable by all. It is never opened here when it is
  // there already: POSIX drops all of a process's locks on a file as soon as any descriptor of it is closed.
  [[nodiscard]] std::expected<void, std::string> make_file() const {
    struct stat status{};
    if (::stat(path_.c_str(), &status) != 0) {
      if (errno != ENOENT) return refuse(std::generic_category().message(errno));
      const int file = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
      if (file < 0) {
        return refuse("cannot be made (" + std::generic_category().message(errno) +
                      "); its folder must exist and be writable by this user");
      }
      ::close(file);
      return {};
    }
    if (!S_ISREG(status.st_mode)) return refuse("is not a file");
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
      return refuse("others than its owner may read or change it; chmod 600 it");
    }
    return {};
  }

  [[nodiscard]] std::expected<void, std::string> open_file() {
    if (path_.empty()) return std::unexpected("a store needs a file name");
    if (auto made = make_file(); !made) return made;
    // Absolute, so that it is a file's name whatever it looks like: SQLite gives ":memory:" and "file:" a
    // meaning.
    std::error_code error;
    const std::string absolute = std::filesystem::absolute(path_, error).string();
    if (error) return refuse(error.message());
    auto opened = Database::open(absolute);
    if (!opened) return refuse(opened.error());
    database_ = std::move(*opened);
    if (database_.read_only()) return refuse("may not be written by this user");
    return {};
  }

  [[nodiscard]] std::expected<void, std::string> prepare() {
    auto locked = database_.execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF;"
                                    "BEGIN EXCLUSIVE; COMMIT;");
    if (!locked) return refuse(locked.error());
    const auto whose = integer("PRAGMA application_id");
    if (!whose) return refuse(whose.error());
    const auto version = integer("PRAGMA user_version");
    if (!version) return refuse(version.error());
    const auto objects = integer("SELECT count(*) FROM sqlite_schema");
    if (!objects) return refuse(objects.error());
    const bool empty = *whose == 0 && *version == 0 && *objects == 0;
    if (!empty && *whose != kApplication) {
      return refuse("is a database of another program; name another file");
    }
    if (!empty && *version != kVersion) {
      return refuse("was written by another version of sallyport (schema " + std::to_string(*version) +
                    ", this one knows " + std::to_string(kVersion) + "); use that one, or name another file");
    }
    const auto journal = database_.ask("PRAGMA journal_mode = WAL");
    if (!journal) return refuse(journal.error());
    if (*journal != "wal") return refuse("the write-ahead log cannot be used here");
    std::string set =
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA journal_size_limit = 16777216;";
    if (options_.pages_max != 0) set += "PRAGMA max_page_count = " + std::to_string(options_.pages_max) + ";";
    if (empty) set += schema();
    if (auto done = database_.execute(set); !done) return refuse(done.error());
    const auto check = database_.ask("PRAGMA quick_check(1)");
    if (!check) return refuse(check.error());
    if (*check != "ok") return damaged(check->value_or("it cannot be checked"));
    if (auto done = prepare_statements(); !done) return refuse(done.error());
    return {};
  }

  [[nodiscard]] static std::string schema() {
    return "BEGIN; PRAGMA application_id = " + std::to_string(kApplication) +
           "; PRAGMA user_version = " + std::to_string(kVersion) + ";" + kSchema + "COMMIT;";
  }

  [[nodiscard]] SqliteResult<std::int64_t> integer(const char* sql) {
    auto statement = database_.prepare(sql);
    if (!statement) return std::unexpected(std::move(statement.error()));
    const auto row = statement->step();
    if (!row) return std::unexpected(row.error());
    return *row ? statement->integer(0) : 0;
  }

  [[nodiscard]] SqliteResult<void> prepare_statements() {
    const std::pair<Statement*, const char*> all[] = {
        {&statements_.begin, "BEGIN IMMEDIATE"},
        {&statements_.commit, "COMMIT"},
        {&statements_.put, "INSERT OR REPLACE INTO revocation VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
        {&statements_.erase, "DELETE FROM revocation WHERE id = ?1"},
        {&statements_.seen, "INSERT OR REPLACE INTO seen_token VALUES (?1, ?2)"},
        {&statements_.number, "UPDATE numbering SET last_id = max(last_id, ?1)"},
        {&statements_.sweep_revocations,
         "DELETE FROM revocation WHERE id IN (SELECT id FROM revocation WHERE until <= ?1 LIMIT ?2)"},
        {&statements_.sweep_seen,
         "DELETE FROM seen_token WHERE digest IN (SELECT digest FROM seen_token WHERE until <= ?1 LIMIT ?2)"},
    };
    for (const auto& [statement, sql] : all) {
      auto prepared = database_.prepare(sql);
      if (!prepared) return std::unexpected(std::move(prepared.error()));
      *statement = std::move(*prepared);
    }
    return {};
  }

  // ---- Reading
  [[nodiscard]] std::expected<void, std::string> load(WallTime now, Contents& contents) {
    SqliteResult<void> swept = statements_.begin.run();
    if (swept) swept = sweep(now - kSweepGrace, std::numeric_limits<std::int64_t>::max());
    if (swept) swept = statements_.commit.run();
    if (!swept) return refuse(swept.error());
    const auto last_id = integer("SELECT last_id FROM numbering");
    if (!last_id) return refuse(last_id.error());
    contents.last_id = static_cast<std::uint64_t>(*last_id);
    if (auto done = load_revocations(now, contents); !done) return done;
    return load_seen(now, contents);
  }

  [[nodiscard]] std::expected<void, std::string> load_revocations(WallTime now, Contents& contents) {
    auto rows = database_.prepare("SELECT * FROM revocation WHERE until IS NULL OR until > ?1 ORDER BY id");
    if (!rows) return refuse(rows.error());
    rows->bind(1, number(now));
    while (true) {
      const auto row = rows->step();
      if (!row) return refuse(row.error());
      if (!*row) return {};
      const auto text = [&](int column) {
        return rows->null(column) ? std::nullopt : std::optional(std::string(rows->text(column)));
      };
      const auto time = [&](int column) {
        return rows->null(column) ? std::nullopt : std::optional(moment(rows->integer(column)));
      };
      const std::optional<Failure> why = reason_of(rows->text(6));
      Revocation revocation{.id = static_cast<std::uint64_t>(rows->integer(0)),
                            .selector = {.issuer = text(1),
                                         .subject = text(2),
                                         .session = text(3),
                                         .token_id = text(4),
                                         .issued_before = time(5)},
                            .reason = why.value_or(Failure::kTokenRevoked),
                            .created = moment(rows->integer(7)),
                            .until = time(8)};
      // Whoever it means would be accepted if it were left out.
      if (!why || !auth::valid(revocation.selector) || rows->integer(0) <= 0 ||
          revocation.id > contents.last_id) {
        return damaged("revocation " + std::to_string(rows->integer(0)) + " makes no sense");
      }
      contents.revocations.push_back(std::move(revocation));
    }
  }

  [[nodiscard]] std::expected<void, std::string> load_seen(WallTime now, Contents& contents) {
    auto rows = database_.prepare("SELECT digest, until FROM seen_token WHERE until > ?1");
    if (!rows) return refuse(rows.error());
    rows->bind(1, number(now));
    while (true) {
      const auto row = rows->step();
      if (!row) return refuse(row.error());
      if (!*row) return {};
      SeenToken token{.digest = {}, .until = moment(rows->integer(1))};
      const std::span<const std::uint8_t> digest = rows->blob(0);
      if (digest.size() != token.digest.size()) return damaged("a digest is not one");
      std::copy(digest.begin(), digest.end(), token.digest.begin());
      contents.seen.push_back(token);
    }
  }

  // ---- Writing
  [[nodiscard]] SqliteResult<void> apply(const Changes& changes) {
    const WallTime now = now_by_clock();
    const bool sweeps = now - swept_ >= kSweepEvery;
    if (auto done = statements_.begin.run(); !done) return done;
    for (const Revocation& revocation : changes.put) {
      if (auto done = put(revocation); !done) return done;
    }
    for (const std::uint64_t id : changes.erase) {
      if (id > std::numeric_limits<std::int64_t>::max()) continue;  // such a number cannot be here
      if (auto done = statements_.erase.bind(1, static_cast<std::int64_t>(id)).run(); !done) return done;
    }
    for (const SeenToken& token : changes.seen) {
      auto done = statements_.seen.bind(1, std::span<const std::uint8_t>(token.digest))
                      .bind(2, number(token.until))
                      .run();
      if (!done) return done;
    }
    if (sweeps) {
      if (auto done = sweep(now - kSweepGrace, kSweepMost); !done) return done;
    }
    if (auto done = statements_.commit.run(); !done) return done;
    if (sweeps) swept_ = now;
    return {};
  }

  [[nodiscard]] SqliteResult<void> put(const Revocation& revocation) {
    if (revocation.id == 0 || revocation.id > std::numeric_limits<std::int64_t>::max()) {
      return std::unexpected(SqliteError{SQLITE_RANGE, "a revocation's number is out of range"});
    }
    // It could not be read again, and the store would not open any more.
    if (!auth::valid(revocation.selector) || !reason_of(reason(revocation.reason))) {
      return std::unexpected(SqliteError{SQLITE_MISMATCH, "a revocation that makes no sense is not kept"});
    }
    const Selector& selector = revocation.selector;
    Statement& statement = statements_.put;
    const auto text = [&](int parameter, const std::optional<std::string>& value) {
      value ? statement.bind(parameter, std::string_view(*value)) : statement.bind(parameter, std::nullopt);
    };
    const auto time = [&](int parameter, const std::optional<WallTime>& value) {
      value ? statement.bind(parameter, number(*value)) : statement.bind(parameter, std::nullopt);
    };
    const auto id = static_cast<std::int64_t>(revocation.id);
    statement.bind(1, id);
    text(2, selector.issuer);
    text(3, selector.subject);
    text(4, selector.session);
    text(5, selector.token_id);
    time(6, selector.issued_before);
    statement.bind(7, reason(revocation.reason)).bind(8, number(revocation.created));
    time(9, revocation.until);
    if (auto done = statement.run(); !done) return done;
    return statements_.number.bind(1, id).run();
  }

  // Of both tables, at most `most` rows each of those that ended at `before` or earlier.
  [[nodiscard]] SqliteResult<void> sweep(WallTime before, std::int64_t most) {
    if (auto done = statements_.sweep_revocations.bind(1, number(before)).bind(2, most).run(); !done) {
      return done;
    }
    return statements_.sweep_seen.bind(1, number(before)).bind(2, most).run();
  }

  const std::string path_;
  const SqliteOptions options_;
  Database database_;
  Statements statements_;
  WallTime swept_;
  bool open_ = false;
};

}  // namespace

std::shared_ptr<Store> make_sqlite_store(std::string path, SqliteOptions options) {
  return std::make_shared<SqliteStore>(std::move(path), std::move(options));
}

}  // namespace sallyport::store

namespace sallyport {

std::shared_ptr<Store> sqlite_store(std::string path) {
  return store::make_sqlite_store(std::move(path), {});
}

}  // namespace sallyport
