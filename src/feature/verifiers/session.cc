// Sessions of express-session: the cookie's signature is checked at once, on the worker; who has signed in is asked of
// Redis, on the control thread.

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/auth/express_cookie.h"
#include "core/auth/express_session.h"
#include "core/base/digest.h"
#include "core/base/secret.h"
#include "feature/verifiers/question.h"
#include "feature/verifiers/secret_file.h"
#include "io/ask.h"
#include "io/redis_link.h"
#include "sallyport/verifiers.h"
#include "server/events.h"
#include "server/file_value.h"

namespace sallyport {
namespace {

using server::Event;
using std::chrono::milliseconds;

constexpr milliseconds kReuseMax{1000};   // how long an acceptance serves others, such as a browser's other tabs
constexpr milliseconds kRecheckMin{200};
constexpr std::chrono::seconds kQuiet{10};
constexpr std::size_t kPrefixBytesMax = 256;
constexpr std::size_t kSecretsMax = 16;
constexpr std::int64_t kNoKey = -2;       // of PTTL
constexpr std::int64_t kNoEnd = -1;

struct SessionPolicy {
  std::string name;
  std::string prefix;
  auth::ExpressPaths paths;
  milliseconds timeout;
  milliseconds reuse;          // of an acceptance
  milliseconds recheck_every;  // with `reuse` before it: together what was asked for
};

// Acceptances live by the clock that nobody can set: a wall clock that is put back must not prolong them.
WallTime steady_now() {
  return WallTime(std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch()));
}

WallTime clock_now() { return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now()); }

// ---- The store, while an app runs

// Belongs to the control thread, but for `connected` and `accepted`.
class SessionStore {
 public:
  SessionStore(const VerifierHost& host, io::RedisUrl url, const SessionPolicy& policy)
      : control_(host.control), log_(host.log), policy_(policy), questions_(host.control),
        link_(host.control, std::move(url),
              {.timeout = policy.timeout,
               .on_change = [this](bool up, const std::string& detail) { on_change(up, detail); }}) {}

  [[nodiscard]] boost::asio::io_context& control() noexcept { return control_; }
  [[nodiscard]] bool connected() const noexcept { return link_.connected(); }
  /// What has been found out a moment ago, if that is an acceptance. Thread-safe.
  [[nodiscard]] std::optional<Verdict> accepted(const base::Sha256& about) const {
    return accepted_.find(about, steady_now());
  }

  /// Asks about the session, together with all who want to know the same at this moment.
  awaitable<Verdict> ask(std::shared_ptr<const base::Secret> id, base::Sha256 about) {
    return questions_.ask(about, [this, id, about] { return look_up(id, about); });
  }

 private:
  awaitable<Verdict> look_up(std::shared_ptr<const base::Secret> id, base::Sha256 about);
  [[nodiscard]] Verdict judge(const std::vector<io::RedisReply>& replies, const base::Sha256& about) const;
  [[nodiscard]] Verdict unavailable(const std::string& detail);
  void on_change(bool up, const std::string& detail) const {
    Event(log_, up ? LogLevel::kInfo : LogLevel::kError, up ? "verifier.available" : "verifier.unavailable")
        .with("verifier", policy_.name)
        .with("detail", detail);
  }

  boost::asio::io_context& control_;
  const LogSink log_;
  const SessionPolicy& policy_;
  Questions questions_;
  AnswerCache accepted_;
  std::chrono::steady_clock::time_point quiet_until_{};
  io::RedisLink link_;
};

awaitable<Verdict> SessionStore::look_up(std::shared_ptr<const base::Secret> id, base::Sha256 about) {
  // Found out while this question was on its way here.
  if (auto known = accepted(about)) co_return std::move(*known);
  std::string text = policy_.prefix;
  text.append(id->reveal());
  std::vector<io::RedisCommand> commands;
  commands.push_back(io::redis_command({"GET", text}));
  commands.push_back(io::redis_command({"PTTL", text}));
  base::wipe(text.data(), text.size());
  const auto replies = co_await link_.pipeline(std::move(commands));
  if (!replies) co_return unavailable(replies.error().detail);
  Verdict verdict = judge(*replies, about);
  // Refusals are not kept: whoever is refused may be signing in at this moment, in the same session.
  const WallTime now = steady_now();
  if (verdict.accepted()) accepted_.insert(about, verdict, now + policy_.reuse, now);
  co_return verdict;
}

Verdict SessionStore::judge(const std::vector<io::RedisReply>& replies, const base::Sha256& about) const {
  using Kind = io::RedisReply::Kind;
  const io::RedisReply& stored = replies[0];
  const io::RedisReply& life = replies[1];
  // Gone between the two questions is gone.
  if (stored.kind == Kind::kNil || life.integer == kNoKey) {
    return Verdict::refuse(Failure::kInvalidToken, policy_.name + ": there is no such session in the store");
  }
  if (stored.kind != Kind::kText || life.kind != Kind::kInteger || life.integer < kNoEnd) {
    return Verdict::unavailable(policy_.name + ": the store answered something else than a session");
  }
  std::optional<milliseconds> remaining;
  if (life.integer != kNoEnd) remaining = milliseconds(life.integer);
  auto session = auth::read_express_session(stored.text, policy_.paths, remaining, clock_now());
  if (!session) {
    const bool expired = session.error() == auth::ExpressSessionError::kExpired;
    return Verdict::refuse(expired ? Failure::kTokenExpired : Failure::kInvalidToken,
                           policy_.name + ": " + std::string(describe(session.error())));
  }
  return Verdict::accept(Principal{
      .issuer = policy_.name,
      .subject = session->subject,
      .session = base::hex({reinterpret_cast<const char*>(about.data()), about.size()}),
      .scopes = std::move(session->scopes),
      .claims = session->claims,
      .expires_at = session->expires_at,
      .valid_until = session->expires_at,
      .recheck_every = policy_.recheck_every});
}

// The link tells by itself when it has gone; what else can be wrong, such as a missing permission, is said once in a
// while and not for every connection.
Verdict SessionStore::unavailable(const std::string& detail) {
  const auto now = std::chrono::steady_clock::now();
  if (link_.connected() && now >= quiet_until_) {
    quiet_until_ = now + kQuiet;
    on_change(false, detail);
  }
  return Verdict::unavailable(policy_.name + ": " + detail);
}

// ---- The verifier

std::vector<base::Secret> read_secrets(const std::vector<std::string>& files) {
  std::vector<base::Secret> secrets;
  for (const std::string& file : files) secrets.push_back(read_shared_secret(file));
  return secrets;
}

class SessionBackend final : public VerifierBackend {
 public:
  SessionBackend(SessionPolicy policy, io::RedisUrl url, const std::vector<std::string>& secret_files)
      : policy_(std::move(policy)),
        url_(std::move(url)),
        secrets_(policy_.name, secret_files, [secret_files] { return read_secrets(secret_files); }) {}

  void start(const VerifierHost& host) const override {
    if (store_ == nullptr) store_ = std::make_unique<SessionStore>(host, url_.copy(), policy_);
    secrets_.start(host);
  }
  void stop() const noexcept override {
    store_ = nullptr;
    secrets_.stop();
  }
  std::uint32_t epoch() const noexcept override { return secrets_.epoch(); }
  bool ready() const noexcept override { return store_ != nullptr && store_->connected(); }
  std::string_view name() const noexcept override { return policy_.name; }
  milliseconds deadline() const noexcept override { return policy_.timeout + milliseconds(500); }

  // Without the secret nobody can make us ask Redis.
  std::optional<Verdict> verify_now(const Presented& presented, WallTime) const override {
    if (presented.kind != CredentialKind::kCookie) return Verdict::not_mine(policy_.name + ": not a cookie");
    const auto id = auth::read_express_cookie(presented.token, *secrets_.current());
    if (!id) {
      const std::string detail = policy_.name + ": " + std::string(describe(id.error()));
      return id.error() == auth::ExpressCookieError::kNotSigned ? Verdict::not_mine(detail)
                                                                : Verdict::refuse(Failure::kInvalidToken, detail);
    }
    if (store_ == nullptr) return Verdict::unavailable(policy_.name + ": the app does not run");
    return store_->accepted(base::sha256(id->reveal()));
  }

  awaitable<Verdict> verify_later(Presented presented) const override {
    auto read = auth::read_express_cookie(presented.token, *secrets_.current());
    if (!read || presented.kind != CredentialKind::kCookie || store_ == nullptr) {
      co_return Verdict::refuse(Failure::kInvalidToken, policy_.name + ": not a session's cookie");
    }
    // Shared with the question, which may outlive the one who asks.
    const auto id = std::make_shared<const base::Secret>(std::move(*read));
    const base::Sha256 about = base::sha256(id->reveal());
    SessionStore& store = *store_;
    std::function<awaitable<Verdict>()> question = [&store, id, about] { return store.ask(id, about); };
    co_return co_await io::ask<Verdict>(store.control(), std::move(question));
  }

 private:
  const SessionPolicy policy_;
  const io::RedisUrl url_;
  mutable FileValue<std::vector<base::Secret>> secrets_;
  mutable std::unique_ptr<SessionStore> store_;  // from start to stop, between which nothing changes it
};

SessionPolicy policy_of(const SessionOptions& options) {
  const auto fault = [&](const std::string& what) {
    throw std::invalid_argument("verifier " + options.name + ": " + what);
  };
  if (options.name.empty()) fault("it has no name, and the name is its principals' issuer");
  if (options.cookie.empty()) fault("cookie: has no name");
  if (options.prefix.size() > kPrefixBytesMax) fault("prefix: is longer than 256 bytes");
  if (const std::string wrong = auth::ExpressPaths::fault_of(options.subject); !wrong.empty()) fault("subject: " + wrong);
  if (!options.scopes.empty()) {
    if (const std::string wrong = auth::ExpressPaths::fault_of(options.scopes); !wrong.empty()) fault("scopes: " + wrong);
  }
  if (options.timeout <= milliseconds(0)) fault("timeout must be more than zero");
  if (options.recheck < kRecheckMin) fault("recheck must be at least 200ms");
  const milliseconds reuse = std::min(kReuseMax, options.recheck / 2);
  return {.name = options.name,
          .prefix = options.prefix,
          .paths = {.subject = options.subject, .scopes = options.scopes},
          .timeout = options.timeout,
          .reuse = reuse,
          .recheck_every = options.recheck - reuse};
}

}  // namespace

Verifier express_session(SessionOptions options) {
  SessionPolicy policy = policy_of(options);
  auto url = io::RedisUrl::parse(options.store);
  base::wipe(options.store.data(), options.store.size());
  if (!url) throw std::invalid_argument("verifier " + options.name + ": store: " + url.error());
  if (options.secret_files.empty() || options.secret_files.size() > kSecretsMax) {
    throw std::invalid_argument("verifier " + options.name + ": secret_files: name 1 to 16 files, the newest first");
  }
  return Verifier(std::make_shared<SessionBackend>(std::move(policy), std::move(*url), options.secret_files));
}

}  // namespace sallyport
