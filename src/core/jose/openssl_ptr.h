#pragma once

// Owners of OpenSSL's objects, for this folder's .cc files only.

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <memory>

namespace sallyport::jose {

template <auto kFree>
struct Freer {
  template <typename T>
  void operator()(T* object) const noexcept {
    kFree(object);
  }
};

inline void free_bio(BIO* bio) noexcept {
  BIO_free(bio);
}

using PkeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using PkeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>>;
using DigestContextPtr = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;
using MacPtr = std::unique_ptr<EVP_MAC, Freer<EVP_MAC_free>>;
using MacContextPtr = std::unique_ptr<EVP_MAC_CTX, Freer<EVP_MAC_CTX_free>>;
using BigPtr = std::unique_ptr<BIGNUM, Freer<BN_clear_free>>;
using BigContextPtr = std::unique_ptr<BN_CTX, Freer<BN_CTX_free>>;
using BioPtr = std::unique_ptr<BIO, Freer<free_bio>>;
using ParamBuilderPtr = std::unique_ptr<OSSL_PARAM_BLD, Freer<OSSL_PARAM_BLD_free>>;
using ParamsPtr = std::unique_ptr<OSSL_PARAM, Freer<OSSL_PARAM_free>>;

/// Takes back what the calls in its scope leave in the thread's error queue. A TLS stream on the
/// same thread reads that queue and would otherwise take a forged token for an error of its own.
class ErrorScope {
 public:
  ErrorScope() noexcept { ERR_set_mark(); }
  ~ErrorScope() { ERR_pop_to_mark(); }
  ErrorScope(const ErrorScope&) = delete;
  ErrorScope& operator=(const ErrorScope&) = delete;
};

}  // namespace sallyport::jose
