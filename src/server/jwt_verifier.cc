// The verifier of JSON Web Tokens.

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <utility>

#include "core/base/base64url.h"
#include "core/base/digest.h"
#include "core/base/secret.h"
#include "core/jose/jwt.h"
#include "core/jose/logout_token.h"
#include "sallyport/verifier.h"
#include "server/file_value.h"
#include "server/keys.h"

namespace sallyport {
namespace {

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

// RFC 8705 section 3.1.
std::string thumbprint_of(std::string_view certificate) {
  const base::Sha256 digest = base::sha256(certificate);
  return base::base64url_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

bool same_set(const jose::KeySet& a, const jose::KeySet& b) { return a.keys().data() == b.keys().data(); }

// Where a verifier's keys are: fetched, in a file that is read again when it changes, or given once and for all.
struct JwtKeys {
  std::shared_ptr<KeySource> source = {};
  std::unique_ptr<FileValue<jose::KeySet>> file = {};
  jose::KeySet given = {};

  [[nodiscard]] jose::KeySet current() const {
    if (source) return source->current();
    return file ? *file->current() : given;
  }
  [[nodiscard]] std::uint32_t epoch() const noexcept {
    if (source) return source->epoch();
    return file ? file->epoch() : 0;
  }
};

class JwtBackend final : public VerifierBackend {
 public:
  JwtBackend(jose::JwtPolicy policy, jose::JwtPolicy logout_policy, JwtKeys keys, std::string name)
      : policy_(std::move(policy)),
        logout_policy_(std::move(logout_policy)),
        issuer_(policy_.issuer),
        keys_(std::move(keys)),
        source_(keys_.source.get()),
        name_(std::move(name)) {}

  void start(const VerifierHost& host) const override {
    if (source_ != nullptr) source_->start(host);
    if (keys_.file) keys_.file->start(host);
  }
  void stop() const noexcept override {
    if (source_ != nullptr) source_->stop();
    if (keys_.file) keys_.file->stop();
  }
  bool ready() const noexcept override { return source_ == nullptr || source_->ready(); }

  std::optional<Verdict> verify_now(const Presented& presented, WallTime now) const override {
    while (true) {
      const jose::KeySet keys = keys_.current();
      Judgement<Verdict> judgement = judge(presented, keys, now);
      if (judgement.verdict) return std::move(judgement.verdict);
      const auto known = source_->recall(judgement.kid);
      // A new set may have come since we looked; each turn of this loop takes one.
      if (!same_set(keys, source_->current())) continue;
      if (!known) return std::nullopt;
      return without_key(*known);
    }
  }

  awaitable<Verdict> verify_later(Presented presented) const override {
    Judgement<Verdict> judgement = judge(presented, keys_.current(), wall_now());
    if (judgement.verdict) co_return std::move(*judgement.verdict);
    const KeySource::Search known = co_await source_->find(std::move(judgement.kid));
    judgement = judge(presented, keys_.current(), wall_now());
    if (judgement.verdict) co_return std::move(*judgement.verdict);
    co_return without_key(known);
  }

  std::optional<LogoutVerdict> verify_logout_now(std::string_view token, WallTime now) const override {
    while (true) {
      const jose::KeySet keys = keys_.current();
      Judgement<LogoutVerdict> judgement = judge_logout(token, keys, now);
      if (judgement.verdict) return std::move(judgement.verdict);
      const auto known = source_->recall(judgement.kid);
      if (!same_set(keys, source_->current())) continue;  // as in verify_now
      if (!known) return std::nullopt;
      return logout_without_key(*known);
    }
  }

  awaitable<LogoutVerdict> verify_logout_later(std::string token) const override {
    Judgement<LogoutVerdict> judgement = judge_logout(token, keys_.current(), wall_now());
    if (judgement.verdict) co_return std::move(*judgement.verdict);
    const KeySource::Search known = co_await source_->find(std::move(judgement.kid));
    judgement = judge_logout(token, keys_.current(), wall_now());
    if (judgement.verdict) co_return std::move(*judgement.verdict);
    co_return logout_without_key(known);
  }

  bool cacheable() const noexcept override { return true; }
  std::uint32_t epoch() const noexcept override { return keys_.epoch(); }
  std::string_view name() const noexcept override { return name_; }
  bool vouches_for(const Principal& who) const noexcept override { return who.issuer == policy_.issuer; }
  std::chrono::milliseconds deadline() const noexcept override {
    const std::chrono::milliseconds usual = VerifierBackend::deadline();
    return source_ != nullptr ? std::max(usual, source_->patience() + std::chrono::seconds(1)) : usual;
  }

 private:
  // Without a verdict, the key that is missing is worth asking for.
  template <typename V>
  struct Judgement {
    std::optional<V> verdict;
    std::string kid = {};
  };

  static WallTime wall_now() {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  }

  [[nodiscard]] Judgement<Verdict> judge(const Presented& presented, const jose::KeySet& keys, WallTime now) const {
    auto claims = jose::verify_jwt(presented.token, policy_, keys, now);
    if (claims) return {accept(std::move(*claims), presented)};
    jose::JwtError error = claims.error();
    std::string detail = name_ + ": " + std::string(jose::to_string(error));
    if (error == jose::JwtError::kUnknownKey && source_ != nullptr) {
      // The issuer is compared before it is asked, and is not asked about a token that no key would save.
      auto kid = jose::missing_key_of(presented.token, policy_, now);
      if (kid) return {std::nullopt, std::move(*kid)};
      error = kid.error();
      detail += ", " + std::string(jose::to_string(error));
    }
    if (belongs_elsewhere(presented.token, error)) return {Verdict::not_mine(std::move(detail))};
    return {Verdict::refuse(failure_of(error), std::move(detail))};
  }

  // Whoever binds a token to a key or certificate means it to be useless to anyone else; accepting it
  // without that proof would undo the binding (RFC 8705 section 3, RFC 9449 section 7).
  [[nodiscard]] Verdict accept(jose::Claims claims, const Presented& presented) const {
    if (claims.has_other_confirmation) {
      return Verdict::refuse(Failure::kInvalidToken,
                             name_ + ": the token is bound to a key (cnf) that was not proven");
    }
    if (claims.confirmation_x5t_s256 &&
        (presented.certificate.empty() ||
         !base::equal_constant_time(*claims.confirmation_x5t_s256, thumbprint_of(presented.certificate)))) {
      return Verdict::refuse(Failure::kInvalidToken,
                             name_ + ": the token is bound to a client certificate that was not presented");
    }
    return Verdict::accept(principal_of(std::move(claims), issuer_, policy_.leeway));
  }

  [[nodiscard]] Verdict without_key(KeySource::Search known) const {
    if (known == KeySource::Search::kUnavailable) {
      return Verdict::unavailable(name_ + ": the issuer's keys could not be fetched");
    }
    return Verdict::refuse(Failure::kInvalidToken, name_ + ": unknown key");
  }

  // The issuer comes first: what is wrong with another's token is not for this verifier to say.
  [[nodiscard]] Judgement<LogoutVerdict> judge_logout(std::string_view token, const jose::KeySet& keys,
                                                      WallTime now) const {
    const auto issuer = jose::peek_issuer(token);
    if (!issuer || *issuer != policy_.issuer) return {LogoutVerdict{}};
    auto proven = jose::verify_logout_token(token, logout_policy_, keys, now);
    if (proven) {
      return {LogoutVerdict{.kind = LogoutVerdict::Kind::kAccepted,
                            .logout = Logout{.issuer = std::move(proven->issuer),
                                             .subject = std::move(proven->subject),
                                             .session = std::move(proven->session),
                                             .token_id = std::move(proven->token_id),
                                             .issued_at = proven->issued_at,
                                             .valid_until = proven->valid_until}}};
    }
    jose::JwtError error = proven.error();
    std::string detail = name_ + ": " + std::string(jose::to_string(error));
    if (error == jose::JwtError::kUnknownKey && source_ != nullptr) {
      auto kid = jose::missing_logout_key_of(token, logout_policy_, now);
      if (kid) return {std::nullopt, std::move(*kid)};
      detail += ", " + std::string(jose::to_string(kid.error()));
    }
    return {LogoutVerdict{.kind = LogoutVerdict::Kind::kRefused, .detail = std::move(detail)}};
  }

  [[nodiscard]] LogoutVerdict logout_without_key(KeySource::Search known) const {
    if (known == KeySource::Search::kUnavailable) {
      return {.kind = LogoutVerdict::Kind::kUnavailable, .detail = name_ + ": the issuer's keys could not be fetched"};
    }
    return {.kind = LogoutVerdict::Kind::kRefused, .detail = name_ + ": unknown key"};
  }

  // Asked only about what has failed here: a token of another issuer, or none at all, may be meant for the
  // next verifier. A token that names this issuer has had its answer.
  [[nodiscard]] bool belongs_elsewhere(std::string_view token, jose::JwtError error) const {
    if (error == jose::JwtError::kExpired || error == jose::JwtError::kNotYetValid) return false;
    const auto issuer = jose::peek_issuer(token);
    return !issuer || *issuer != policy_.issuer;
  }

  const jose::JwtPolicy policy_;
  const jose::JwtPolicy logout_policy_;
  const Text issuer_;  // shared by all principals
  const JwtKeys keys_;
  KeySource* const source_;  // its own, or null
  const std::string name_;
};

// Keys that the verifier could not use are no good news either.
std::unique_ptr<FileValue<jose::KeySet>> keys_in_file(const Keys::Loaded& loaded, const std::string& name,
                                                      const std::vector<jose::Algorithm>& algorithms) {
  std::function<jose::KeySet()> load = [read = loaded.reload, path = loaded.file.path, algorithms] {
    jose::KeySet keys = read();
    const std::string misfit = misfit_of(keys, algorithms);
    if (!misfit.empty()) throw std::runtime_error(path + ": " + misfit);
    return keys;
  };
  return std::make_unique<FileValue<jose::KeySet>>(name, std::vector{loaded.file}, loaded.keys, std::move(load));
}

}  // namespace

Verifier jwt(JwtOptions options) {
  const auto fault = [&](const std::string& what) {
    throw std::invalid_argument("verifier " + options.name + ": " + what);
  };
  if (options.issuer.empty()) fault("the issuer is missing: a verifier belongs to exactly one");
  if (options.algorithms.empty()) fault("no algorithms are allowed");
  if (options.leeway < std::chrono::seconds(0)) fault("the leeway is negative");
  if (options.leeway > std::chrono::hours(1)) fault("the leeway is over an hour: that is no difference of clocks");
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
  const Keys::Loaded& loaded = options.keys.loaded();
  JwtKeys keys;
  if (loaded.make_source) {
    try {
      keys.source =
          loaded.make_source({.issuer = options.issuer, .verifier = options.name, .algorithms = policy.algorithms});
    } catch (const std::invalid_argument& error) {
      fault(error.what());
    }
  } else if (const std::string misfit = misfit_of(loaded.keys, policy.algorithms); !misfit.empty()) {
    fault(misfit);
  } else if (loaded.reload) {
    keys.file = keys_in_file(loaded, options.name, policy.algorithms);
  } else {
    keys.given = loaded.keys;
  }
  jose::JwtPolicy logout_policy = policy;
  logout_policy.token_types = options.logout_token_types;
  if (!options.logout_audience.empty()) logout_policy.audience = options.logout_audience;
  return Verifier(std::make_shared<JwtBackend>(std::move(policy), std::move(logout_policy), std::move(keys),
                                               options.name));
}

}  // namespace sallyport
