// What a token costs: Sallyport's verification next to OpenSSL's own, in a loop that does nothing
// else.
//
//   cmake --preset release -DSALLYPORT_BENCH=ON && cmake --build build/release --target jose_bench
//   build/release/bench/jose_bench --benchmark_min_time=1
//
// BM_Raw initialises a context per signature, as a program that calls OpenSSL does. BM_Jws is
// verify_compact and BM_Jwt verify_jwt, of the same token (about 300 bytes before the signature).

#include <benchmark/benchmark.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/base64url.h"
#include "core/base/json.h"
#include "core/jose/jwt.h"
#include "core/jose/mint.h"
#include "core/jose/signature.h"

namespace {

using namespace sallyport;
using jose::Algorithm;

constexpr std::string_view kSecret =
    "a secret for benchmarks of more than sixty-four bytes, as HS512 would want to have it";
constexpr std::string_view kClaims =
    R"({"iss":"https://id.example.com/","sub":"248289761001","aud":["chat","api"],"exp":1800000060,)"
    R"("iat":1799999960,"nbf":1799999960,"jti":"f5c1a7d2-9d3b-4c0e-8a57-1f0c6f2f8b11",)"
    R"("sid":"08a5019c-17e1-4977-8f42-65a12843ea02","client_id":"web","scope":"openid chat read write"})";
constexpr base::WallTime kNow{std::chrono::seconds(1'800'000'000)};

struct Subject {
  explicit Subject(Algorithm name) : algorithm(name), keys(make_keys(name)) {
    policy = {.issuer = "https://id.example.com/", .audience = {"chat"}, .algorithms = {name}};
  }
  Algorithm algorithm;
  std::string token;
  std::string public_pem;
  jose::KeySet keys;
  jose::JwtPolicy policy;

 private:
  jose::KeySet make_keys(Algorithm name) {
    const bool is_secret = jose::family_of(name) == jose::Family::kHmac;
    const jose::Key key = is_secret ? jose::Key::from_secret(kSecret, "k").value()
                                    : jose::generate_key(name, "k", 2048).value();
    token = jose::sign_compact(kClaims, key, name).value();
    if (is_secret) return jose::KeySet::from_keys({key}).value();
    public_pem = jose::export_public_pem(key).value();
    return jose::KeySet::from_jwks(jose::export_jwks({&key, 1}).value()).value();
  }
};

void jws(benchmark::State& state, Algorithm algorithm) {
  const Subject subject(algorithm);
  for (auto _ : state) {
    const auto result =
        jose::verify_compact(subject.token, subject.keys, subject.policy.algorithms);
    if (!result) state.SkipWithError("refused");
  }
}

void jwt(benchmark::State& state, Algorithm algorithm) {
  const Subject subject(algorithm);
  for (auto _ : state) {
    const auto result = jose::verify_jwt(subject.token, subject.policy, subject.keys, kNow);
    if (!result) state.SkipWithError("refused");
  }
}

const EVP_MD* digest_of(Algorithm algorithm) {
  if (algorithm == Algorithm::kEdDsa) return nullptr;
  const std::size_t bytes = jose::hash_bytes(algorithm);
  return bytes == 32 ? EVP_sha256() : bytes == 48 ? EVP_sha384() : EVP_sha512();
}

struct Parts {
  std::string input;
  std::string signature;
};

Parts parts_of(const std::string& token) {
  const std::size_t end = token.rfind('.');
  return {token.substr(0, end), *base::base64url_decode(token.substr(end + 1))};
}

const unsigned char* bytes_of(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

void raw_hmac(benchmark::State& state, Algorithm algorithm) {
  const Subject subject(algorithm);
  const Parts parts = parts_of(subject.token);
  for (auto _ : state) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
    unsigned size = 0;
    HMAC(digest_of(algorithm), kSecret.data(), static_cast<int>(kSecret.size()),
         bytes_of(parts.input), parts.input.size(), mac.data(), &size);
    if (CRYPTO_memcmp(mac.data(), parts.signature.data(), parts.signature.size()) != 0) {
      state.SkipWithError("refused");
    }
  }
}

// ECDSA signatures are made anew in DER, which is what EVP_DigestVerify takes.
void raw_asymmetric(benchmark::State& state, Algorithm algorithm) {
  const jose::Key key = jose::generate_key(algorithm, "k", 2048).value();
  const std::string pem(jose::export_private_pem(key).value().reveal());
  BIO* const bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* const pkey = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  const std::string input = parts_of(jose::sign_compact(kClaims, key, algorithm).value()).input;
  const bool is_pss = jose::to_string(algorithm).starts_with("PS");
  const auto pad = [is_pss](EVP_PKEY_CTX* context) {
    if (!is_pss) return;
    EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST);
  };
  EVP_PKEY_CTX* inner = nullptr;
  EVP_MD_CTX* const signer = EVP_MD_CTX_new();
  EVP_DigestSignInit(signer, &inner, digest_of(algorithm), nullptr, pkey);
  pad(inner);
  std::string signature(1024, '\0');
  std::size_t size = signature.size();
  EVP_DigestSign(signer, reinterpret_cast<unsigned char*>(signature.data()), &size, bytes_of(input),
                 input.size());
  EVP_MD_CTX_free(signer);
  for (auto _ : state) {
    EVP_MD_CTX* const context = EVP_MD_CTX_new();
    EVP_DigestVerifyInit(context, &inner, digest_of(algorithm), nullptr, pkey);
    pad(inner);
    if (EVP_DigestVerify(context, bytes_of(signature), size, bytes_of(input), input.size()) != 1) {
      state.SkipWithError("refused");
    }
    EVP_MD_CTX_free(context);
  }
  EVP_PKEY_free(pkey);
}

void raw(benchmark::State& state, Algorithm algorithm) {
  if (jose::family_of(algorithm) == jose::Family::kHmac) return raw_hmac(state, algorithm);
  return raw_asymmetric(state, algorithm);
}

// What of BM_Jws's difference to BM_Raw is the signature and what is the form.
void parse(benchmark::State& state) {
  const Subject subject(Algorithm::kHs256);
  for (auto _ : state) benchmark::DoNotOptimize(jose::parse_compact(subject.token));
}
BENCHMARK(parse)->Name("BM_ParseCompact");

void parse_claims(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(base::parse_json(kClaims));
}
BENCHMARK(parse_claims)->Name("BM_ParseClaims");

[[maybe_unused]] const bool kRegistered = [] {
  for (const Algorithm algorithm : jose::kAllAlgorithms) {
    const std::string name(jose::to_string(algorithm));
    benchmark::RegisterBenchmark(("BM_Raw/" + name).c_str(), raw, algorithm);
    benchmark::RegisterBenchmark(("BM_Jws/" + name).c_str(), jws, algorithm);
    benchmark::RegisterBenchmark(("BM_Jwt/" + name).c_str(), jwt, algorithm);
  }
  return true;
}();

}  // namespace
