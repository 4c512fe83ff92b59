#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "io/test_certificate.h"

struct evp_pkey_st;
struct x509_st;

namespace sallyport::io::test {

/// A name in a certificate, byte by byte, so that it may be one that nobody should issue.
struct RawName {
  int type;  ///< alternative names: the tag of RFC 5280 section 4.2.1.6; common names: the ASN.1 string type
  std::string bytes;
};
inline constexpr int kEmailName = 1;
inline constexpr int kDnsName = 2;
inline constexpr int kUriName = 6;
inline constexpr int kUtf8String = 12;

struct CertificateSpec {
  std::vector<RawName> common_names = {{kUtf8String, "client"}};
  std::vector<RawName> alternative_names = {};
  bool alternative_names_twice = false;     ///< the extension, which RFC 5280 allows once
  std::chrono::seconds begins{-60};         ///< from now
  std::chrono::seconds ends{3600};          ///< from now
  bool endless = false;                     ///< 99991231235959Z instead (RFC 5280 section 4.1.2.5)
  std::string usage = "clientAuth";         ///< extended key usage; empty: none is named
  bool may_issue = false;                   ///< an authority itself
};

/// Somebody who issues certificates with fresh P-256 keys.
class Authority {
 public:
  explicit Authority(const std::string& name = "test authority");
  ~Authority();
  Authority(Authority&&) noexcept = default;

  [[nodiscard]] std::string certificate_pem() const;
  [[nodiscard]] Certificate issue(const CertificateSpec& spec = {}) const;
  /// One whose certificate this one has signed.
  [[nodiscard]] Authority intermediate(const std::string& name) const;

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const noexcept;
    void operator()(x509_st* certificate) const noexcept;
  };
  using Key = std::unique_ptr<evp_pkey_st, Free>;
  using X = std::unique_ptr<x509_st, Free>;
  Authority(Key key, X certificate);
  [[nodiscard]] static X make(const CertificateSpec& spec, evp_pkey_st& subject_key, const x509_st* issuer,
                              evp_pkey_st& issuer_key);

  Key key_;
  X certificate_;
};

/// The DER encoding of a PEM certificate.
[[nodiscard]] std::string der_of(const std::string& certificate_pem);

}  // namespace sallyport::io::test
