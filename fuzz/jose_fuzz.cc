// Tokens, key sets and PEM from a stranger. The first byte chooses what the rest is.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/base64url.h"
#include "core/jose/jwt.h"
#include "core/jose/signature.h"

namespace {

using namespace sallyport;
using namespace sallyport::jose;

constexpr base::WallTime kNow{std::chrono::seconds(1'800'000'000)};

const KeySet& keys() {
  static const KeySet set =
      KeySet::from_jwks(
          R"({"keys":[{"kty":"EC","crv":"P-256","kid":"ec","x":"04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY",)"
          R"("y":"UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw"},{"kty":"OKP","crv":"Ed25519","kid":"ed",)"
          R"("x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})")
          .value();
  return set;
}

const Key& secret() {
  static const Key key =
      Key::from_secret("a secret for fuzzing, of more than thirty-two bytes").value();
  return key;
}

JwtPolicy policy() {
  return {.issuer = "i", .algorithms = {kAllAlgorithms.begin(), kAllAlgorithms.end()}};
}

// A stranger has no key: nothing of what he writes may ever verify.
void fuzz_token(std::string_view text) {
  if (verify_jwt(text, policy(), keys(), kNow).has_value()) std::abort();
  const auto checks = explain_jwt(text, policy(), keys(), kNow);
  if (checks.empty() || checks.back().passed) std::abort();
  static_cast<void>(peek_issuer(text));
}

// The same with a header of his choice and a signature of the right length.
void fuzz_header(std::string_view text) {
  const std::string token =
      base::base64url_encode(text) + ".e30." + base::base64url_encode(std::string(64, '\x01'));
  if (verify_compact(token, keys(), kAllAlgorithms).has_value()) std::abort();
}

// Claims that an issuer signed: the verdict and the explanation must agree.
void fuzz_claims(std::string_view text) {
  static const KeySet set = KeySet::from_keys({secret()}).value();
  const auto token = sign_compact(text, secret(), Algorithm::kHs256);
  if (!token) std::abort();
  const auto claims = verify_jwt(*token, policy(), set, kNow);
  bool all = true;
  for (const JwtCheck& check : explain_jwt(*token, policy(), set, kNow)) all = all && check.passed;
  if (all != claims.has_value()) std::abort();
  if (!claims) return;
  if (claims->issuer != "i" || claims->subject.empty() || claims->subject.size() > 255)
    std::abort();
  if (kNow >= claims->expires_at + std::chrono::seconds(30)) std::abort();
}

void fuzz_keys(std::string_view text) {
  const auto set = KeySet::from_jwks(text);
  if (!set) return;
  if (set->empty() || set->size() > kKeysMax) std::abort();
  for (const Key& key : set->keys()) {
    if (key.algorithms().empty()) std::abort();
    for (const Algorithm algorithm : kAllAlgorithms) {
      if (verify_signature("input", std::string(64, '\x01'), key, algorithm)) std::abort();
    }
  }
}

void fuzz_pem(std::string_view text) {
  static_cast<void>(Key::from_public_pem(text));
  static_cast<void>(Key::from_private_pem(text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      fuzz_token(text);
      break;
    case 1:
      fuzz_header(text);
      break;
    case 2:
      fuzz_claims(text);
      break;
    case 3:
      fuzz_keys(text);
      break;
    default:
      fuzz_pem(text);
      break;
  }
  return 0;
}
