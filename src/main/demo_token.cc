#include "main/demo_token.h"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "core/base/random.h"
#include "core/http/answer.h"
#include "core/http/origin.h"
#include "core/jose/jws.h"
#include "core/jose/mint.h"

namespace sallyport::main {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kKeyId = "demo";
constexpr std::size_t kNameBytesMax = 32;

struct Kind {
  std::string_view name;
  std::chrono::seconds life;
};
constexpr std::array<Kind, 5> kKinds{
    {{"valid", 10min}, {"short", 20s}, {"expired", -1h}, {"forged", 10min}, {"other_user", 10min}}};

Response problem(std::uint16_t status, std::string_view reason) {
  const http::Answer answer = http::problem(status, reason);
  return {.status = status, .body = answer.body, .content_type = "application/problem+json"};
}

bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

std::string guest() {
  char name[20];
  std::snprintf(name, sizeof name, "guest-%04x",
                static_cast<unsigned>(base::random_u32() & 0xffff));
  return name;
}

}  // namespace

std::expected<DemoIssuer, std::string> DemoIssuer::make() {
  auto key = jose::generate_key(jose::Algorithm::kEs256, kKeyId);
  auto foreign_key = jose::generate_key(jose::Algorithm::kEs256, kKeyId);
  if (!key) return std::unexpected(key.error().detail);
  if (!foreign_key) return std::unexpected(foreign_key.error().detail);
  return DemoIssuer(std::move(*key), std::move(*foreign_key));
}

Verifier DemoIssuer::verifier() const {
  return jwt({.issuer = std::string(kIssuer),
              .audience = {std::string(kAudience)},
              .algorithms = {"ES256"},
              .keys = jwks_text(jose::export_jwks(std::array{key_}).value()),
              .leeway = 2s,  // so short that a page can show the token's end
              .name = "demo"});
}

Response DemoIssuer::answer(const DemoTokenRequest& request, WallTime now) const {
  // A page of another site, or one whose name was made to resolve to this machine, must not fetch
  // tokens from here. Programs, which send no Sec-Fetch-Site, are this machine's own.
  const std::string_view site = request.sec_fetch_site.value_or("none");
  if (site != "same-origin" && site != "none") return problem(403, "forbidden");
  if (!http::host_is_loopback(request.host)) return problem(403, "forbidden");

  const std::string kind_name = request.kind.value_or("valid");
  const auto* const kind = std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& candidate) {
    return candidate.name == kind_name;
  });
  if (kind == kKinds.end()) return problem(400, "bad_request");
  std::string subject = request.name ? *request.name : guest();
  if (!valid_name(subject)) return problem(400, "bad_request");
  if (kind_name == "other_user") subject.insert(0, "other-");

  const std::int64_t seconds =
      std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  const std::int64_t expires = seconds + kind->life.count();
  const boost::json::object claims{{"iss", kIssuer},
                                   {"aud", kAudience},
                                   {"sub", subject},
                                   {"scope", "chat"},
                                   {"iat", std::min(seconds, expires)},
                                   {"exp", expires}};
  const jose::Key& key = kind_name == "forged" ? foreign_key_ : key_;
  const auto token =
      jose::sign_compact(boost::json::serialize(claims), key, jose::Algorithm::kEs256);
  if (!token) return problem(500, "internal");
  return {.body = boost::json::serialize(
              boost::json::object{{"token", *token}, {"expires_at", expires}}),
          .content_type = "application/json",
          .fields = {{"X-Content-Type-Options", "nosniff"}}};
}

}  // namespace sallyport::main
