// The verifiers that need nobody else: local keys, a user's coroutine, and none at all.

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "core/base/secret.h"
#include "core/jose/jwt.h"
#include "sallyport/verifier.h"
#include "server/keys.h"

namespace sallyport {

awaitable<Verdict> VerifierBackend::verify_later(Presented) const {
  co_return Verdict::unavailable("this verifier does not answer later");
}

Verifier any_of(const std::vector<Verifier>& verifiers) {
  std::vector<std::shared_ptr<const VerifierBackend>> all;
  for (const Verifier& verifier : verifiers) {
    all.insert(all.end(), verifier.backends().begin(), verifier.backends().end());
  }
  return Verifier(std::move(all));
}

namespace {

// ---- JSON Web Tokens with keys at hand

Failure failure_of(jose::JwtError error) {
  switch (error) {
    case jose::JwtError::kExpired: return Failure::kTokenExpired;
    case jose::JwtError::kNotYetValid: return Failure::kTokenNotYetValid;
    default: return Failure::kInvalidToken;
  }
}

Principal principal_of(jose::Claims claims, const Text& issuer, std::chrono::seconds leeway) {
  return {.issuer = issuer,
          .subject = claims.subject,
          .session = claims.session,
          .token_id = claims.token_id,
          .scopes = std::move(claims.scopes),
          .claims = claims.json,
          .issued_at = claims.issued_at,
          .expires_at = claims.expires_at,
          .valid_until = claims.expires_at + leeway};
}

class JwtBackend final : public VerifierBackend {
 public:
  JwtBackend(jose::JwtPolicy policy, jose::KeySet keys, std::string name)
      : policy_(std::move(policy)),
        issuer_(policy_.issuer),
        keys_(std::move(keys)),
        name_(std::move(name)) {}

  std::optional<Verdict> verify_now(const Presented& presented, WallTime now) const override {
    auto claims = jose::verify_jwt(presented.token, policy_, keys_, now);
    if (!claims) {
      const std::string detail = name_ + ": " + std::string(jose::to_string(claims.error()));
      if (belongs_elsewhere(presented.token, claims.error())) return Verdict::not_mine(detail);
      return Verdict::refuse(failure_of(claims.error()), detail);
    }
    // Whoever binds a token to a key or certificate means it to be useless to anyone else; accepting it
    // without that proof would undo the binding (RFC 8705 section 3, RFC 9449 section 7).
    if (claims->confirmation_x5t_s256 || claims->has_other_confirmation) {
      return Verdict::refuse(Failure::kInvalidToken,
                             name_ + ": the token is bound to a key (cnf) that was not proven");
    }
    return Verdict::accept(principal_of(std::move(*claims), issuer_, policy_.leeway));
  }
  bool cacheable() const noexcept override { return true; }
  std::string_view name() const noexcept override { return name_; }

 private:
  // Asked only about what has failed here: a token of another issuer, or none at all, may be meant for the
  // next verifier. A token that names this issuer has had its answer.
  [[nodiscard]] bool belongs_elsewhere(std::string_view token, jose::JwtError error) const {
    if (error == jose::JwtError::kExpired || error == jose::JwtError::kNotYetValid) return false;
    const auto issuer = jose::peek_issuer(token);
    return !issuer || *issuer != policy_.issuer;
  }

  const jose::JwtPolicy policy_;
  const Text issuer_;  // shared by all principals
  const jose::KeySet keys_;
  const std::string name_;
};

class CustomBackend final : public VerifierBackend {
 public:
  CustomBackend(std::function<awaitable<Verdict>(Presented)> ask, CustomOptions options)
      : ask_(std::move(ask)), options_(std::move(options)) {}

  std::optional<Verdict> verify_now(const Presented&, WallTime) const override { return std::nullopt; }
  awaitable<Verdict> verify_later(Presented presented) const override { return ask_(presented); }
  std::string_view name() const noexcept override { return options_.name; }
  std::chrono::milliseconds deadline() const noexcept override { return options_.deadline; }

 private:
  const std::function<awaitable<Verdict>(Presented)> ask_;
  const CustomOptions options_;
};

// The connection makes the principal itself: only it knows its id.
class AnonymousBackend final : public VerifierBackend {
 public:
  std::optional<Verdict> verify_now(const Presented&, WallTime) const override {
    return Verdict::refuse();
  }
  std::string_view name() const noexcept override { return "anonymous"; }
  bool anonymous() const noexcept override { return true; }
};

}  // namespace

Verifier jwt(JwtOptions options) {
  const auto fault = [&](const std::string& what) {
    throw std::invalid_argument("verifier " + options.name + ": " + what);
  };
  if (options.issuer.empty()) fault("the issuer is missing: a verifier belongs to exactly one");
  if (options.algorithms.empty()) fault("no algorithms are allowed");
  if (options.leeway < std::chrono::seconds(0)) fault("the leeway is negative");
  jose::JwtPolicy policy{.issuer = options.issuer,
                         .audience = options.audience,
                         .algorithms = {},
                         .leeway = options.leeway,
                         .token_types = options.token_types};
  for (const std::string& name : options.algorithms) {
    const auto algorithm = jose::algorithm_from_name(name);
    if (!algorithm) {
      fault("\"" + name + "\" is not a supported algorithm; the list is HS256, HS384, HS512, RS256, RS384, "
            "RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA");
    }
    policy.algorithms.push_back(*algorithm);
  }
  const jose::KeySet& keys = options.keys.loaded().keys;
  if (const std::string misfit = misfit_of(keys, policy.algorithms); !misfit.empty()) fault(misfit);
  return Verifier(std::make_shared<JwtBackend>(std::move(policy), keys, options.name));
}

Verifier verifier(std::function<awaitable<Verdict>(Presented)> ask, CustomOptions options) {
  if (!ask) throw std::invalid_argument("verifier " + options.name + ": there is no coroutine to ask");
  return Verifier(std::make_shared<CustomBackend>(std::move(ask), std::move(options)));
}

Verifier insecure_anonymous() { return Verifier(std::make_shared<AnonymousBackend>()); }

}  // namespace sallyport
