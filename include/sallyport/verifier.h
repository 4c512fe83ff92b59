#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sallyport/awaitable.h"
#include "sallyport/credentials.h"
#include "sallyport/failure.h"
#include "sallyport/log.h"
#include "sallyport/principal.h"

namespace boost::asio {
class io_context;
}

namespace sallyport {

/// A verifier's answer.
class Verdict {
 public:
  /// Proven: this is who it is. A principal without a subject is refused.
  [[nodiscard]] static Verdict accept(Principal who) {
    return Verdict(std::make_shared<const Principal>(std::move(who)));
  }
  [[nodiscard]] static Verdict accept(std::shared_ptr<const Principal> who) {
    return Verdict(std::move(who));
  }
  /// The credential's fault; `detail` goes to the log, never to the peer, and must not quote it.
  [[nodiscard]] static Verdict refuse(Failure why = Failure::kInvalidToken, std::string detail = {}) {
    return Verdict(why, std::move(detail));
  }
  /// The verifier could not be asked: the peer is told to come back, 503 or 1013.
  [[nodiscard]] static Verdict unavailable(std::string detail = {}) {
    return Verdict(Failure::kUnavailable, std::move(detail));
  }
  /// Another issuer's credential: the next verifier of the route is asked.
  [[nodiscard]] static Verdict not_mine(std::string detail = {}) {
    Verdict verdict(Failure::kInvalidToken, std::move(detail));
    verdict.not_mine_ = true;
    return verdict;
  }

  [[nodiscard]] bool accepted() const noexcept { return principal_ != nullptr; }
  [[nodiscard]] bool is_not_mine() const noexcept { return not_mine_; }
  [[nodiscard]] const std::shared_ptr<const Principal>& principal() const noexcept { return principal_; }
  [[nodiscard]] Failure failure() const noexcept { return failure_; }
  [[nodiscard]] const std::string& detail() const noexcept { return detail_; }

 private:
  explicit Verdict(std::shared_ptr<const Principal> who) : principal_(std::move(who)) {}
  Verdict(Failure why, std::string detail) : failure_(why), detail_(std::move(detail)) {}

  std::shared_ptr<const Principal> principal_;
  Failure failure_ = Failure::kInvalidToken;
  std::string detail_;
  bool not_mine_ = false;
};

/// Whose login at the issuer has ended: what a logout token says (OpenID Connect Back-Channel Logout 1.0 section
/// 2.4). Of subject and session one may be empty.
struct Logout {
  std::string issuer;
  std::string subject;
  std::string session;   ///< `sid`; empty: all sessions of the subject
  std::string token_id;  ///< `jti`: a second token of the issuer with the same is a replay
  WallTime issued_at;
  WallTime valid_until;  ///< from then on the token would be refused for its age
};

/// A verifier's answer to a logout token.
struct LogoutVerdict {
  enum class Kind : std::uint8_t {
    kNotMine,      ///< of another issuer
    kAccepted,     ///< proven, but for having been seen before: that is for whoever asked to know
    kRefused,
    kUnavailable,  ///< the issuer's keys cannot be had
  };
  Kind kind = Kind::kNotMine;
  std::optional<Logout> logout = {};  ///< if accepted
  std::string detail = {};            ///< otherwise why, for the log; it does not quote the token
};

/// What an app lends to the verifiers that ask others.
struct VerifierHost {
  boost::asio::io_context& control;  ///< runs on the app's control thread: no worker waits for what happens there
  LogSink log;
};

/// What stands behind a `Verifier`. Used by all workers at once; what it remembers, it guards itself.
class VerifierBackend {
 public:
  virtual ~VerifierBackend() = default;
  /// Before the first question, on the thread that runs the app. Whoever asks others begins here and must not
  /// block. Called again, with the same host, for every route that uses the verifier.
  virtual void start(const VerifierHost&) const {}
  /// After the last question, when nothing runs or waits on `control` any more: sockets and timers end here.
  /// Called once for every route too, and without a `start` before it where the app could not begin to serve.
  virtual void stop() const noexcept {}
  /// False while nobody could be verified, because keys have never been fetched for example. Thread-safe.
  [[nodiscard]] virtual bool ready() const noexcept { return true; }
  /// Header fields of the handshake that it wants to see beside the credential, in lower case.
  [[nodiscard]] virtual std::span<const std::string> wanted_fields() const noexcept { return {}; }
  /// Answers at once where it can; nothing means that `verify_later` must be asked. Must not block.
  [[nodiscard]] virtual std::optional<Verdict> verify_now(const Presented& presented,
                                                          WallTime now) const = 0;
  /// Asks someone else. Cancelled when the connection goes or the deadline passes; an exception
  /// counts as a fault of ours and refuses. The default answers "unavailable".
  [[nodiscard]] virtual awaitable<Verdict> verify_later(Presented presented) const;
  /// Whether its issuer says so: a login has ended. Like `verify_now`. The default belongs to no issuer that could.
  [[nodiscard]] virtual std::optional<LogoutVerdict> verify_logout_now(std::string_view token, WallTime now) const;
  /// Like `verify_later`. The default answers "unavailable".
  [[nodiscard]] virtual awaitable<LogoutVerdict> verify_logout_later(std::string token) const;
  /// Whether an acceptance may be kept under the credential's hash until the authority ends.
  [[nodiscard]] virtual bool cacheable() const noexcept { return false; }
  /// Grows when what was kept before must not be believed any more: keys have been withdrawn or added.
  /// Thread-safe and cheap: asked for every credential.
  [[nodiscard]] virtual std::uint32_t epoch() const noexcept { return 0; }
  /// Asked after a reload about a connection that another verifier of the same name has accepted: does this one
  /// stand by it? What cannot be told from the principal alone counts as yes.
  [[nodiscard]] virtual bool vouches_for(const Principal&) const noexcept { return true; }
  /// For logs and for the administrator, such as the name in the configuration.
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  /// How long one verification may take.
  [[nodiscard]] virtual std::chrono::milliseconds deadline() const noexcept {
    return std::chrono::seconds(5);
  }
  /// True for the verifier that asks for nothing.
  [[nodiscard]] virtual bool anonymous() const noexcept { return false; }
};

/// Decides who a credential belongs to. A value, cheap to copy. There is no default: a route without a
/// verifier does not compile.
class Verifier {
 public:
  explicit Verifier(std::shared_ptr<const VerifierBackend> backend) : backends_{std::move(backend)} {}
  explicit Verifier(std::vector<std::shared_ptr<const VerifierBackend>> backends)
      : backends_(std::move(backends)) {}

  [[nodiscard]] const std::vector<std::shared_ptr<const VerifierBackend>>& backends() const noexcept {
    return backends_;
  }

 private:
  std::vector<std::shared_ptr<const VerifierBackend>> backends_;
};

/// Asks each in order until one does not answer "not mine".
[[nodiscard]] Verifier any_of(const std::vector<Verifier>& verifiers);

/// Where the keys of a `jwt` verifier come from. Loading one throws `std::runtime_error` with a message
/// that names the file and the fault. While an app runs, a file that has changed is read again within a second: what
/// is good replaces what was there, anything else changes nothing and is told to the log (`keys.reload_failed`).
/// New keys are for those who come: open connections stay until their tokens end. To end them, revoke.
class Keys {
 public:
  struct Loaded;
  explicit Keys(std::shared_ptr<const Loaded> loaded) : loaded_(std::move(loaded)) {}
  [[nodiscard]] const Loaded& loaded() const noexcept { return *loaded_; }

 private:
  std::shared_ptr<const Loaded> loaded_;
};

[[nodiscard]] Keys jwks_file(const std::string& path);   ///< a JSON Web Key Set (RFC 7517)
[[nodiscard]] Keys jwks_text(std::string_view json);     ///< likewise, as text
[[nodiscard]] Keys public_key_file(const std::string& path);  ///< PEM: SubjectPublicKeyInfo or certificate
[[nodiscard]] Keys public_key_text(std::string_view pem);
[[nodiscard]] Keys secret_file(const std::string& path); ///< for HS*; one trailing newline is not part of it
[[nodiscard]] Keys secret_text(std::string_view secret);

struct JwtOptions {
  std::string issuer;                  ///< exact `iss`; required
  std::vector<std::string> audience;   ///< one of them must be in `aud`; empty: not checked
  std::vector<std::string> algorithms; ///< allowed `alg` values, such as "ES256"; required
  Keys keys;
  std::chrono::seconds leeway{30};     ///< for `exp`, `nbf` and `iat`, once
  std::vector<std::string> token_types{"JWT", "at+jwt"};  ///< accepted `typ`; an absent one counts as JWT
  /// Likewise of logout tokens. Add "JWT" for an issuer that does not say what they are.
  std::vector<std::string> logout_token_types{"logout+jwt"};
  /// One of them must be in a logout token's `aud`: the client's id at the issuer. Empty: those of `audience`.
  std::vector<std::string> logout_audience = {};
  std::string name = "jwt";            ///< for logs
};

/// Verifies JSON Web Tokens (RFC 7519, RFC 8725). Throws `std::invalid_argument` on options that cannot
/// be meant, such as an unknown algorithm or keys that fit none of them.
[[nodiscard]] Verifier jwt(JwtOptions options);

struct CustomOptions {
  std::string name = "custom";
  std::chrono::milliseconds deadline{2000};  ///< then 503 or 1013, and the coroutine is cancelled
};

/// A verifier of your own: a coroutine that is given the credential and answers with a verdict. It runs on
/// the connection's worker. Nothing it says is cached.
[[nodiscard]] Verifier verifier(std::function<awaitable<Verdict>(Presented)> ask,
                                CustomOptions options = {});

/// Lets everybody in, as subject "anonymous:<connection id>". Says so in its name because it should be
/// rare and easy to find.
[[nodiscard]] Verifier insecure_anonymous();

}  // namespace sallyport
