#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/base/digest.h"
#include "core/base/secret.h"
#include "feature/verifiers/answer.h"
#include "feature/verifiers/asking.h"
#include "feature/verifiers/question.h"
#include "feature/verifiers/secret_file.h"
#include "io/http_client.h"
#include "sallyport/verifiers.h"
#include "server/file_value.h"

namespace sallyport {
namespace {

// application/x-www-form-urlencoded (RFC 6749 appendix B), also for what goes into Basic (section 2.3.1).
std::string form_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kHex[byte >> 4];
      encoded += kHex[byte & 15];
    }
  }
  return encoded;
}

// What client_secret_basic sends.
base::Secret read_authorization(const std::string& client_id, const std::string& secret_file) {
  const base::Secret secret = read_shared_secret(secret_file);
  std::string encoded = form_encode(secret.reveal());
  std::string pair = form_encode(client_id) + ":" + encoded;
  std::string text = base::base64(pair);
  std::string header = "Basic " + text;
  base::Secret authorization(header);
  for (std::string* const part : {&encoded, &pair, &text, &header}) base::wipe(part->data(), part->size());
  return authorization;
}

class IntrospectionBackend final : public VerifierBackend {
 public:
  IntrospectionBackend(IntrospectionOptions options, io::HttpUrl endpoint)
      : options_(std::move(options)),
        endpoint_(std::move(endpoint)),
        authorization_(options_.name, {options_.client_secret_file},
                       [id = options_.client_id, file = options_.client_secret_file] {
                         return read_authorization(id, file);
                       }),
        asking_(options_.name, {.timeout = options_.timeout, .body_bytes = kAnswerBytesMax}) {
    if (options_.issuer.empty()) options_.issuer = endpoint_.origin();
  }

  void start(const VerifierHost& host) const override {
    asking_.start(host);
    authorization_.start(host);
  }
  void stop() const noexcept override {
    asking_.stop();
    authorization_.stop();
  }
  std::string_view name() const noexcept override { return options_.name; }
  std::chrono::milliseconds deadline() const noexcept override {
    return options_.timeout + std::chrono::milliseconds(500);
  }

  std::optional<Verdict> verify_now(const Presented& presented, WallTime now) const override {
    if (presented.kind == CredentialKind::kCertificate) return Verdict::not_mine();
    if (presented.token.empty() || presented.token.size() > kTokenBytesMax) return Verdict::refuse();
    auto answer = cache_.find(about(presented), now);
    return answer;
  }

  awaitable<Verdict> verify_later(Presented presented) const override {
    // What the peer presented ends with its connection; the question may outlive it.
    const auto token = std::make_shared<base::Secret>(presented.token);
    const auto certificate = std::make_shared<const std::string>(presented.certificate);
    return asking_.ask(about(presented), [this, token, certificate, key = about(presented)] {
      return introspect(token, certificate, key);
    });
  }

 private:
  static constexpr std::size_t kTokenBytesMax = 8 * 1024;

  // A bound token is known together with its certificate only.
  static base::Sha256 about(const Presented& presented) {
    const base::Sha256 token = base::sha256(presented.token);
    if (presented.certificate.empty()) return token;
    const base::Sha256 certificate = base::sha256(presented.certificate);
    std::string both(reinterpret_cast<const char*>(token.data()), token.size());
    both.append(reinterpret_cast<const char*>(certificate.data()), certificate.size());
    return base::sha256(both);
  }

  awaitable<Verdict> introspect(std::shared_ptr<base::Secret> token,
                                std::shared_ptr<const std::string> certificate, base::Sha256 key) const {
    io::HttpRequest request{.method = "POST", .url = endpoint_};
    request.fields.emplace_back("Authorization", authorization_.current()->copy());
    request.fields.emplace_back("Content-Type", base::Secret("application/x-www-form-urlencoded"));
    request.fields.emplace_back("Accept", base::Secret("application/json"));
    std::string body = "token=" + form_encode(token->reveal()) + "&token_type_hint=access_token";
    request.body = base::Secret(body);
    base::wipe(body.data(), body.size());
    auto reply = co_await asking_.client().send(std::move(request));
    if (!reply) co_return asking_.unavailable(reply.error().detail);
    if (reply->status != 200) {
      co_return asking_.unavailable("the endpoint answered " + std::to_string(reply->status) +
                                    (reply->status == 401 ? ": check client_id and the client's secret" : ""));
    }
    const WallTime now = wall_now();
    Verdict verdict = judge(reply->body, *certificate, now);
    if (verdict.accepted() || verdict.failure() != Failure::kUnavailable) {
      WallTime until = now + options_.cache;
      if (verdict.accepted() && verdict.principal()->expires_at) {
        until = std::min(until, *verdict.principal()->expires_at);
      }
      cache_.insert(key, verdict, until, now);
    }
    co_return verdict;
  }

  Verdict judge(std::string_view body, std::string_view certificate, WallTime now) const {
    auto answer = parse_answer(body);
    if (!answer) return asking_.unavailable(std::string(answer.error()));
    if (!answer->active) return asking_.unavailable("the answer does not say whether the token is active");
    const auto refuse = [&](Failure failure, const char* why) {
      return Verdict::refuse(failure, options_.name + ": " + why);
    };
    // Also what a server says of a token that it has never seen (RFC 7662 section 2.2): another may have.
    if (!*answer->active) return Verdict::not_mine(options_.name + ": the token is not active");
    Principal& who = answer->who;
    // A machine that acts for itself has no user; its token names the client (RFC 9068 section 2.2 has them equal).
    if (who.subject.empty()) who.subject = answer->client_id;
    if (who.subject.empty()) return refuse(Failure::kInvalidToken, "the token has neither sub nor client_id");
    if (who.expires_at && *who.expires_at <= now) return refuse(Failure::kTokenExpired, "the token has expired");
    if (answer->not_before && *answer->not_before > now) {
      return refuse(Failure::kTokenNotYetValid, "the token is not valid yet");
    }
    if (answer->bound_otherwise) {
      return refuse(Failure::kInvalidToken, "the token is bound to a key (cnf) that was not proven");
    }
    if (answer->certificate_sha256 && !is_bound_to(*answer->certificate_sha256, certificate)) {
      return refuse(Failure::kInvalidToken, "the token is bound to another certificate");
    }
    if (!answer->issuer.empty() && issuer_given_ && answer->issuer != options_.issuer) {
      return refuse(Failure::kInvalidToken, "the token is of another issuer");
    }
    who.issuer = options_.issuer;
    who.recheck_every = options_.recheck;
    // Without an end of its own it holds as long as somebody can be asked about it.
    if (!who.valid_until) who.valid_until = now + 2 * options_.recheck + options_.timeout;
    return Verdict::accept(std::move(who));
  }

  IntrospectionOptions options_;
  const bool issuer_given_ = !options_.issuer.empty();
  const io::HttpUrl endpoint_;
  mutable FileValue<base::Secret> authorization_;
  mutable AnswerCache cache_;
  mutable Asking asking_;
};

}  // namespace

Verifier introspection(IntrospectionOptions options) {
  const auto fault = [&](const std::string& what) -> std::invalid_argument {
    return std::invalid_argument("verifier " + options.name + ": " + what);
  };
  auto endpoint = io::HttpUrl::parse(options.endpoint);
  if (!endpoint) throw fault("endpoint: " + endpoint.error());
  if (options.client_id.empty()) throw fault("client_id is missing");
  if (options.timeout <= std::chrono::milliseconds(0)) throw fault("timeout must be more than zero");
  if (options.recheck < std::chrono::milliseconds(100)) throw fault("recheck must be at least 100ms");
  if (options.cache < std::chrono::milliseconds(0)) throw fault("cache is negative");
  return Verifier(std::make_shared<IntrospectionBackend>(std::move(options), std::move(*endpoint)));
}

}  // namespace sallyport
