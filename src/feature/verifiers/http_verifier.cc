#include <algorithm>
#include <cctype>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/base/digest.h"
#include "core/base/secret.h"
#include "core/http/grammar.h"
#include "feature/verifiers/answer.h"
#include "feature/verifiers/asking.h"
#include "io/http_client.h"
#include "sallyport/verifiers.h"

namespace sallyport {
namespace {

constexpr std::chrono::milliseconds kSlack{1000};

// The fields of one question, owned: it may outlive the connection that asks.
using Fields = std::vector<std::pair<std::string, base::Secret>>;

class HttpBackend final : public VerifierBackend {
 public:
  HttpBackend(HttpVerifierOptions options, io::HttpUrl url)
      : options_(std::move(options)),
        url_(std::move(url)),
        asking_(options_.name, {.timeout = options_.timeout, .body_bytes = kAnswerBytesMax}) {
    if (options_.issuer.empty()) options_.issuer = url_.origin();
  }

  void start(const VerifierHost& host) const override { asking_.start(host); }
  void stop() const noexcept override { asking_.stop(); }
  std::string_view name() const noexcept override { return options_.name; }
  std::chrono::milliseconds deadline() const noexcept override {
    return options_.timeout + std::chrono::milliseconds(500);
  }
  std::span<const std::string> wanted_fields() const noexcept override { return options_.forward; }

  std::optional<Verdict> verify_now(const Presented&, WallTime) const override { return std::nullopt; }

  awaitable<Verdict> verify_later(Presented presented) const override {
    const auto fields = std::make_shared<const Fields>(fields_of(presented));
    if (fields->empty()) return nobody();
    return asking_.ask(digest_of(*fields), [this, fields] { return ask(fields); });
  }

 private:
  static awaitable<Verdict> nobody() {
    co_return Verdict::not_mine("nothing of the credential may be forwarded");
  }

  // What the route's verifiers wanted to see, of which only our own fields go on. A token that came another way
  // than in the header goes on as if it had come there.
  Fields fields_of(const Presented& presented) const {
    Fields fields;
    bool authorization = false;
    for (const PresentedField& field : presented.fields) {
      if (!forwards(field.name)) continue;
      authorization = authorization || field.name == "authorization";
      fields.emplace_back(std::string(field.name), base::Secret(field.value));
    }
    const bool ambient = presented.kind == CredentialKind::kCookie || presented.kind == CredentialKind::kCertificate;
    if (!ambient && !authorization && forwards("authorization") && clean(presented.token)) {
      std::string value = "Bearer " + std::string(presented.token);
      fields.emplace_back("authorization", base::Secret(value));
      base::wipe(value.data(), value.size());
    }
    return fields;
  }

  [[nodiscard]] bool forwards(std::string_view name) const {
    return std::ranges::find(options_.forward, name) != options_.forward.end();
  }

  // A token of a message may hold anything; what would end a header line is no token that a header could carry.
  static bool clean(std::string_view token) {
    return !token.empty() && token.size() <= 8 * 1024 &&
           std::ranges::all_of(token, [](char c) { return c > 0x20 && c < 0x7f; });
  }

  static base::Sha256 digest_of(const Fields& fields) {
    std::string all;
    for (const auto& [name, value] : fields) {
      all.append(name).append("\n").append(value.reveal()).append("\n");
    }
    const base::Sha256 digest = base::sha256(all);
    base::wipe(all.data(), all.size());
    return digest;
  }

  awaitable<Verdict> ask(std::shared_ptr<const Fields> fields) const {
    io::HttpRequest request{.method = "GET", .url = url_};
    for (const auto& [name, value] : *fields) request.fields.emplace_back(name, value.copy());
    request.fields.emplace_back("accept", base::Secret("application/json"));
    auto reply = co_await asking_.client().send(std::move(request));
    if (!reply) co_return asking_.unavailable(reply.error().detail);
    switch (reply->status) {
      case 200: co_return judge(reply->body);
      case 401: co_return Verdict::not_mine(options_.name + ": answered 401");
      case 403: co_return Verdict::refuse(Failure::kForbidden, options_.name + ": answered 403");
      default: co_return asking_.unavailable("answered " + std::to_string(reply->status));
    }
  }

  Verdict judge(std::string_view body) const {
    auto answer = parse_answer(body);
    if (!answer) return asking_.unavailable(std::string(answer.error()));
    if (answer->who.subject.empty()) return asking_.unavailable("the answer names no sub");
    const WallTime now = wall_now();
    Principal& who = answer->who;
    if (who.expires_at && *who.expires_at <= now) {
      return Verdict::refuse(Failure::kTokenExpired, options_.name + ": the answer's exp has passed");
    }
    who.issuer = options_.issuer;
    who.recheck_every = options_.recheck;
    // An answer without an end holds until it is due to be asked for again; the rest is for asking.
    if (!who.valid_until) who.valid_until = now + options_.recheck + options_.timeout + kSlack;
    return Verdict::accept(std::move(who));
  }

  HttpVerifierOptions options_;
  const io::HttpUrl url_;
  mutable Asking asking_;
};

}  // namespace

Verifier http_verifier(HttpVerifierOptions options) {
  const auto fault = [&](const std::string& what) -> std::invalid_argument {
    return std::invalid_argument("verifier " + options.name + ": " + what);
  };
  auto url = io::HttpUrl::parse(options.url);
  if (!url) throw fault("url: " + url.error());
  if (options.forward.empty()) throw fault("forward names no header field, so nothing could be asked about");
  for (std::string& name : options.forward) {
    std::ranges::transform(name, name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    constexpr std::string_view kOurs[] = {"host", "connection", "content-length", "transfer-encoding", "upgrade",
                                          "accept", "te", "expect"};
    if (!http::is_token(name) || std::ranges::find(kOurs, name) != std::end(kOurs)) {
      throw fault("forward: \"" + name + "\" is no header field that can be forwarded");
    }
  }
  if (options.timeout <= std::chrono::milliseconds(0)) throw fault("timeout must be more than zero");
  if (options.recheck < std::chrono::milliseconds(100)) throw fault("recheck must be at least 100ms");
  return Verifier(std::make_shared<HttpBackend>(std::move(options), std::move(*url)));
}

}  // namespace sallyport
