// The attacks on JWT verifiers that have names or CVE numbers, as one table: each must be refused,
// and refused for the right reason.

#include <gtest/gtest.h>

#include <functional>

#include "core/base/base64url.h"
#include "core/base/digest.h"
#include "core/jose/jwt.h"
#include "core/jose/signature.h"
#include "core/jose/test_keys.h"

namespace sallyport::jose {
namespace {

using enum Algorithm;
using namespace std::string_literals;

constexpr base::WallTime kNow{std::chrono::seconds(1'800'000'000)};
const std::string kClaims =
    R"({"iss":"https://id.example.com/","sub":"alice","aud":"chat","exp":1800000060})";

std::string encode(std::string_view text) {
  return base::base64url_encode(text);
}

std::string unsigned_token(std::string_view header, std::string_view claims,
                           std::string_view signature) {
  return encode(header) + "." + encode(claims) + "." + encode(signature);
}

// HMAC with any bytes as the key, also such as no Key would take (too short, a PEM).
std::string forge_hmac(std::string_view header, std::string_view secret) {
  const std::string input = encode(header) + "." + encode(kClaims);
  const auto digest = [](const std::string& text) {
    const base::Sha256 d = base::sha256(text);
    return std::string(reinterpret_cast<const char*>(d.data()), d.size());
  };
  std::string block(secret.size() > 64 ? digest(std::string(secret)) : std::string(secret));
  block.resize(64, '\0');
  std::string inner = block;
  std::string outer = block;
  for (char& c : inner) c = static_cast<char>(c ^ 0x36);
  for (char& c : outer) c = static_cast<char>(c ^ 0x5c);
  return input + "." + encode(digest(outer + digest(inner + input)));
}

struct Attack {
  std::string name;
  std::string token;
  JwtError error;
};

// An issuer that signs with RS256, ES256 and EdDSA, and a verifier that (carelessly) allows
// everything.
class Issuer {
 public:
  const Key& rsa = test_key(kRs256);
  const Key& ec = test_key(kEs256);
  const KeySet keys =
      KeySet::from_jwks(export_jwks(std::array{rsa, ec, test_key(kEdDsa)}).value()).value();
  const JwtPolicy policy{.issuer = "https://id.example.com/",
                         .audience = {"chat"},
                         .algorithms = {kAllAlgorithms.begin(), kAllAlgorithms.end()}};

  [[nodiscard]] std::string sign(std::string_view header, std::string_view claims, const Key& key,
                                 Algorithm algorithm) const {
    return sign_compact_with_header(header, claims, key, algorithm).value();
  }
  [[nodiscard]] std::string honest() const {
    return sign(R"({"alg":"ES256","kid":"key-ES256"})", kClaims, ec, kEs256);
  }
};

void add_missing_signatures(const Issuer& issuer, std::vector<Attack>& attacks) {
  for (const char* const alg :
       {"none", "None", "NONE", "nOnE", "none ", " none", "null", "HS257", "RSA1_5", "ES256K"}) {
    const std::string header = R"({"alg":")"s + alg + "\"}";
    attacks.push_back(
        {"alg "s + alg, unsigned_token(header, kClaims, ""), JwtError::kUnsupportedAlgorithm});
    attacks.push_back({"alg "s + alg + " with something behind it",
                       unsigned_token(header, kClaims, "x"), JwtError::kUnsupportedAlgorithm});
  }
  attacks.push_back(
      {"alg empty", unsigned_token(R"({"alg":""})", kClaims, ""), JwtError::kMalformed});
  attacks.push_back(
      {"no alg", unsigned_token(R"({"typ":"JWT"})", kClaims, ""), JwtError::kMalformed});
  for (const char* const alg : {"HS256", "RS256", "ES256", "EdDSA"}) {
    attacks.push_back({"empty signature under "s + alg,
                       unsigned_token(R"({"alg":")"s + alg + "\"}", kClaims, ""),
                       JwtError::kBadSignature});
  }
  attacks.push_back(
      {"all-zero ES256 signature (CVE-2022-21449)",
       unsigned_token(R"({"alg":"ES256","kid":"key-ES256"})", kClaims, std::string(64, '\0')),
       JwtError::kBadSignature});
  attacks.push_back({"all-zero EdDSA signature",
                     unsigned_token(R"({"alg":"EdDSA"})", kClaims, std::string(64, '\0')),
                     JwtError::kBadSignature});
  attacks.push_back({"claims changed",
                     [&] {
                       std::string token = issuer.honest();
                       std::string claims = kClaims;
                       claims.replace(claims.find("alice"), 5, "admin");
                       return token.substr(0, token.find('.') + 1) + encode(claims) +
                              token.substr(token.rfind('.'));
                     }(),
                     JwtError::kBadSignature});
}

void add_key_confusion(const Issuer& issuer, std::vector<Attack>& attacks) {
  const std::string jwks = export_jwks({&issuer.rsa, 1}).value();
  const auto set = boost::json::parse(jwks);
  const auto& jwk = set.at("keys").at(0);
  const std::string modulus = *base::base64url_decode(jwk.at("n").as_string());
  const std::string pem = export_public_pem(issuer.rsa).value();
  const std::pair<const char*, std::string> secrets[] = {
      {"its PEM", pem},
      {"its PEM without the last newline", pem.substr(0, pem.size() - 1)},
      {"its JWK", boost::json::serialize(jwk)},
      {"its JWK Set", jwks},
      {"its modulus", modulus},
      {"its modulus in base64url", std::string(jwk.at("n").as_string())},
      {"an empty key", ""},
      {"its kid", issuer.rsa.kid()},
      {"a key of zeros", std::string(32, '\0')}};
  for (const auto& [what, secret] : secrets) {
    attacks.push_back({"HS256 with "s + what + ", no kid", forge_hmac(R"({"alg":"HS256"})", secret),
                       JwtError::kUnknownKey});
    attacks.push_back({"HS256 with "s + what,
                       forge_hmac(R"({"alg":"HS256","kid":"key-RS256"})", secret),
                       JwtError::kUnsupportedAlgorithm});
  }
  attacks.push_back(
      {"PS256 with a key bound to RS256",
       issuer.sign(R"({"alg":"PS256","kid":"key-RS256"})", kClaims, test_key(kPs256), kPs256),
       JwtError::kUnsupportedAlgorithm});
  attacks.push_back(
      {"ES384 with a key bound to ES256",
       issuer.sign(R"({"alg":"ES384","kid":"key-ES256"})", kClaims, test_key(kEs384), kEs384),
       JwtError::kUnsupportedAlgorithm});
  attacks.push_back(
      {"RS256 under the kid of the EC key",
       issuer.sign(R"({"alg":"RS256","kid":"key-ES256"})", kClaims, issuer.rsa, kRs256),
       JwtError::kUnsupportedAlgorithm});
  const Key own = generate_key(kEs256, "own").value();
  const std::string own_jwks = export_jwks({&own, 1}).value();
  const std::string own_jwk = own_jwks.substr(9, own_jwks.size() - 11);
  attacks.push_back({"own key embedded as jwk (CVE-2018-0114)",
                     issuer.sign(R"({"alg":"ES256","jwk":)" + own_jwk + "}", kClaims, own, kEs256),
                     JwtError::kBadSignature});
  attacks.push_back(
      {"own key embedded as jwk under its kid",
       issuer.sign(R"({"alg":"ES256","kid":"own","jwk":)" + own_jwk + "}", kClaims, own, kEs256),
       JwtError::kUnknownKey});
  attacks.push_back(
      {"own keys by jku",
       issuer.sign(R"({"alg":"ES256","jku":"http://127.0.0.1:9/"})", kClaims, own, kEs256),
       JwtError::kBadSignature});
}

void add_headers(const Issuer& issuer, std::vector<Attack>& attacks) {
  const auto under = [&issuer](const std::string& header) {
    return issuer.sign(header, kClaims, issuer.ec, kEs256);
  };
  const auto kid = [&](const std::string& text) {
    return under(R"({"alg":"ES256","kid":")" + text + "\"}");
  };
  attacks.push_back({"kid ../../dev/null", kid("../../../../dev/null"), JwtError::kUnknownKey});
  attacks.push_back({"kid with SQL", kid("x' UNION SELECT 'k"), JwtError::kUnknownKey});
  attacks.push_back({"kid with a command", kid("key|/bin/id"), JwtError::kUnknownKey});
  attacks.push_back({"kid with NUL", kid("key-ES256\\u0000"), JwtError::kMalformed});
  attacks.push_back({"kid too long", kid(std::string(300, 'k')), JwtError::kMalformed});
  attacks.push_back({"kid of a megabyte", kid(std::string(1 << 20, 'k')), JwtError::kTooLarge});
  attacks.push_back(
      {"kid not a string", under(R"({"alg":"ES256","kid":["key-ES256"]})"), JwtError::kMalformed});
  attacks.push_back({"crit exp", under(R"({"alg":"ES256","crit":["exp"],"exp":9})"),
                     JwtError::kUnsupportedHeader});
  attacks.push_back({"crit unknown", under(R"({"alg":"ES256","crit":["x"],"x":1})"),
                     JwtError::kUnsupportedHeader});
  attacks.push_back(
      {"b64 false", under(R"({"alg":"ES256","b64":false})"), JwtError::kUnsupportedHeader});
  attacks.push_back({"two algs", under(R"({"alg":"none","alg":"ES256"})"), JwtError::kMalformed});
  attacks.push_back({"two algs, one escaped", under(R"({"alg":"ES256","al\u0067":"none"})"),
                     JwtError::kMalformed});
  attacks.push_back(
      {"header followed by more", under(R"({"alg":"ES256"}{"alg":"none"})"), JwtError::kMalformed});
  attacks.push_back(
      {"header with BOM", under("\xEF\xBB\xBF{\"alg\":\"ES256\"}"), JwtError::kMalformed});
  attacks.push_back({"header with a lone surrogate", under(R"({"alg":"ES256","x":"\ud800"})"),
                     JwtError::kMalformed});
  attacks.push_back({"header of invalid UTF-8", under("{\"alg\":\"ES256\",\"x\":\"\xC0\xAF\"}"),
                     JwtError::kMalformed});
  attacks.push_back({"typ of another purpose", under(R"({"alg":"ES256","typ":"logout+jwt"})"),
                     JwtError::kWrongType});
  attacks.push_back(
      {"typ of a DPoP proof", under(R"({"alg":"ES256","typ":"dpop+jwt"})"), JwtError::kWrongType});
}

void add_forms(const Issuer& issuer, std::vector<Attack>& attacks) {
  const std::string token = issuer.honest();
  const std::size_t first = token.find('.');
  const std::size_t second = token.rfind('.');
  const std::string signature = *base::base64url_decode(token.substr(second + 1));
  const std::string input = token.substr(0, second);
  const auto integer = [](std::string number) {
    if ((number.front() & 0x80) != 0) number.insert(0, 1, '\0');
    return "\x02"s + static_cast<char>(number.size()) + number;
  };
  const std::string body = integer(signature.substr(0, 32)) + integer(signature.substr(32));
  const std::string der = "\x30"s + static_cast<char>(body.size()) + body;
  attacks.push_back({"DER instead of R and S", input + "." + encode(der), JwtError::kBadSignature});
  attacks.push_back({"signature of 21,830 characters", input + "." + std::string(21'832, 'A'),
                     JwtError::kTooLarge});
  attacks.push_back({"signature of 6,000 characters", input + "." + std::string(6'000, 'A'),
                     JwtError::kBadSignature});
  attacks.push_back(
      {"signature cut", input + "." + encode(signature.substr(0, 63)), JwtError::kBadSignature});
  attacks.push_back(
      {"signature extended", input + "." + encode(signature + "\0"s), JwtError::kBadSignature});
  attacks.push_back(
      {"R and S with leading zeros",
       input + "." + encode("\0"s + signature.substr(0, 32) + "\0"s + signature.substr(32)),
       JwtError::kBadSignature});
  attacks.push_back({"R and S swapped",
                     input + "." + encode(signature.substr(32) + signature.substr(0, 32)),
                     JwtError::kBadSignature});
  attacks.push_back({"a million dots", std::string(1'000'000, '.'), JwtError::kTooLarge});
  attacks.push_back({"eight thousand dots", std::string(8'000, '.'), JwtError::kMalformed});
  attacks.push_back({"five parts (JWE)", token + ".AAAA.AAAA", JwtError::kMalformed});
  attacks.push_back({"two parts", input, JwtError::kMalformed});
  attacks.push_back({"nothing", "", JwtError::kMalformed});
  attacks.push_back({"space before", " " + token, JwtError::kMalformed});
  attacks.push_back({"newline behind", token + "\n", JwtError::kMalformed});
  attacks.push_back({"NUL behind", token + "\0"s, JwtError::kMalformed});
  attacks.push_back({"padding behind", token + "==", JwtError::kMalformed});
  attacks.push_back(
      {"padding inside", token.substr(0, first) + "=" + token.substr(first), JwtError::kMalformed});
  attacks.push_back(
      {"JSON serialisation", R"({"payload":"e30","signatures":[]})", JwtError::kMalformed});
  attacks.push_back(
      {"over 8 KiB",
       issuer.sign(R"({"alg":"ES256"})", kClaims + std::string(8192, ' '), issuer.ec, kEs256),
       JwtError::kTooLarge});
}

void add_claims(const Issuer& issuer, std::vector<Attack>& attacks) {
  const auto with = [&issuer](const std::string& claims) {
    return issuer.sign(R"({"alg":"ES256"})", claims, issuer.ec, kEs256);
  };
  const std::string open = kClaims.substr(0, kClaims.size() - 1);
  attacks.push_back({"two exp, the last one good", with(R"({"exp":1,)" + kClaims.substr(1)),
                     JwtError::kMalformed});
  attacks.push_back(
      {"two exp, the first one good", with(open + R"(,"exp":1})"), JwtError::kMalformed});
  attacks.push_back(
      {"two sub, one escaped", with(open + R"(,"s\u0075b":"admin"})"), JwtError::kMalformed});
  attacks.push_back({"claims followed by more", with(kClaims + "{}"), JwtError::kMalformed});
  attacks.push_back(
      {"claims nested too deep", with(open + R"(,"x":[[[[[[[[1]]]]]]]]})"), JwtError::kMalformed});
  attacks.push_back({"claims an array", with("[" + kClaims + "]"), JwtError::kMalformed});
  attacks.push_back({"claims a string", with("\"{}\""), JwtError::kMalformed});
  attacks.push_back({"claims empty", with(""), JwtError::kMalformed});
  attacks.push_back({"claims a nested token", with(issuer.honest()), JwtError::kMalformed});
  attacks.push_back({"claims with BOM", with("\xEF\xBB\xBF" + kClaims), JwtError::kMalformed});
  attacks.push_back(
      {"claims with a lone surrogate", with(open + R"(,"x":"\udc00"})"), JwtError::kMalformed});
  attacks.push_back(
      {"claims of invalid UTF-8", with(open + ",\"x\":\"\xED\xA0\x80\"}"), JwtError::kMalformed});
  attacks.push_back(
      {"exp 1e999", with(R"({"iss":"https://id.example.com/","sub":"a","aud":"chat","exp":1e999})"),
       JwtError::kMalformed});
  attacks.push_back({"no claims at all", with("{}"), JwtError::kMissingClaim});
}

TEST(Attack, NoneOfTheKnownOnesSucceeds) {
  const Issuer issuer;
  ASSERT_TRUE(verify_jwt(issuer.honest(), issuer.policy, issuer.keys, kNow).has_value());
  std::vector<Attack> attacks;
  add_missing_signatures(issuer, attacks);
  add_key_confusion(issuer, attacks);
  add_headers(issuer, attacks);
  add_forms(issuer, attacks);
  add_claims(issuer, attacks);
  EXPECT_GE(attacks.size(), 60U);
  for (const Attack& attack : attacks) {
    const auto result = verify_jwt(attack.token, issuer.policy, issuer.keys, kNow);
    ASSERT_FALSE(result.has_value()) << attack.name;
    EXPECT_EQ(to_string(result.error()), to_string(attack.error)) << attack.name;
  }
}

TEST(Attack, TheForgerOfThisTestForgesWell) {
  const std::string secret(kTestSecret);
  const std::string token = forge_hmac(R"({"alg":"HS256"})", secret);
  const KeySet keys = set_of({Key::from_secret(secret).value()});
  EXPECT_TRUE(verify_compact(token, keys, std::array{kHs256}).has_value());
}

TEST(Attack, ChangingAnyCharacterOfATokenRefusesIt) {
  const Issuer issuer;
  const std::string token = issuer.honest();
  for (std::size_t i = 0; i < token.size(); ++i) {
    for (const char replacement : {'A', '_', '.', '=', '\0', static_cast<char>(token[i] ^ 0x20)}) {
      if (token[i] == replacement) continue;
      std::string changed = token;
      changed[i] = replacement;
      EXPECT_FALSE(verify_jwt(changed, issuer.policy, issuer.keys, kNow).has_value()) << i;
    }
  }
}

}  // namespace
}  // namespace sallyport::jose
