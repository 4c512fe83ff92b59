// Keys from PEM files and secrets.

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <utility>

#include "core/jose/key_data.h"

namespace sallyport::jose {
namespace {

using CertificatePtr = std::unique_ptr<X509, Freer<X509_free>>;

std::unexpected<KeyFailure> refuse(KeyError code, std::string detail) {
  return std::unexpected(KeyFailure{code, std::move(detail)});
}

constexpr std::string_view kBegin = "-----BEGIN ";

bool has_label(std::string_view pem, std::string_view label) {
  return pem.find(std::string(kBegin).append(label) + "-----") != std::string_view::npos;
}

std::size_t count_blocks(std::string_view pem) {
  std::size_t count = 0;
  for (std::size_t at = pem.find(kBegin); at != std::string_view::npos;
       at = pem.find(kBegin, at + 1))
    ++count;
  return count;
}

bool has_private_block(std::string_view pem) {
  return pem.find("PRIVATE KEY-----") != std::string_view::npos;
}

BioPtr open_pem(std::string_view pem) {
  return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// OpenSSL's own callback would ask on the terminal.
int refuse_passphrase(char*, int, int, void*) {
  return -1;
}

AlgorithmSet every_algorithm() {
  AlgorithmSet set;
  for (const Algorithm algorithm : kAllAlgorithms) set.add(algorithm);
  return set;
}

}  // namespace

std::expected<Key, KeyFailure> Key::from_public_pem(std::string_view pem, std::string_view kid) {
  const ErrorScope errors;
  if (pem.size() > kPemBytesMax) return refuse(KeyError::kTooLarge, "the PEM is over 64 KiB");
  if (has_private_block(pem)) {
    return refuse(KeyError::kWrongKind,
                  "the PEM contains a private key where a public key belongs");
  }
  const BioPtr bio = open_pem(pem);
  PkeyPtr pkey;
  if (has_label(pem, "CERTIFICATE")) {
    const CertificatePtr certificate(
        bio ? PEM_read_bio_X509(bio.get(), nullptr, refuse_passphrase, nullptr) : nullptr);
    pkey.reset(certificate ? X509_get_pubkey(certificate.get()) : nullptr);
  } else if (count_blocks(pem) > 1) {
    return refuse(KeyError::kMalformed,
                  "the PEM contains more than one block; give one public key");
  } else {
    pkey.reset(bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, refuse_passphrase, nullptr) : nullptr);
  }
  if (!pkey)
    return refuse(KeyError::kMalformed,
                  "the PEM is not a PUBLIC KEY or CERTIFICATE that OpenSSL can read");
  return adopt_pkey(std::move(pkey), kid, every_algorithm(), false);
}

std::expected<Key, KeyFailure> Key::from_private_pem(std::string_view pem, std::string_view kid) {
  const ErrorScope errors;
  if (pem.size() > kPemBytesMax) return refuse(KeyError::kTooLarge, "the PEM is over 64 KiB");
  if (!has_private_block(pem))
    return refuse(KeyError::kWrongKind, "the PEM contains no private key");
  const BioPtr bio = open_pem(pem);
  PkeyPtr pkey(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_passphrase, nullptr)
                   : nullptr);
  if (!pkey)
    return refuse(KeyError::kMalformed,
                  "the private key is encrypted or not one that OpenSSL can read");
  return adopt_pkey(std::move(pkey), kid, every_algorithm(), true);
}

std::expected<Key, KeyFailure> Key::from_secret(std::string_view secret, std::string_view kid) {
  // The classic confusion (RFC 8725 section 2.1): a public key's file used as the HMAC secret,
  // which anybody could then sign with.
  if (secret.find(kBegin) != std::string_view::npos) {
    return refuse(KeyError::kWrongKind, "the secret is a PEM; a key pair cannot be an HMAC secret");
  }
  return adopt_secret(secret, kid, every_algorithm());
}

}  // namespace sallyport::jose
