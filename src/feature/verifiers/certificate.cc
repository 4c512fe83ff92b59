// TLS client certificates. The handshake has verified them: the chain, the usage, the proof of the key. Here is
// read whose it is, and whether it still holds.

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/auth/inband.h"
#include "core/base/base64url.h"
#include "core/base/digest.h"
#include "core/http/grammar.h"
#include "sallyport/verifiers.h"

namespace sallyport {
namespace {

constexpr std::size_t kCertificateBytesMax = std::size_t{16} * 1024;
constexpr std::size_t kSubjectBytesMax = 2048;  // what SPIFFE allows, the longest that is usual

struct Free {
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

// The queue of errors is the thread's, and a TLS stream on it would take ours for its own.
class ErrorScope {
 public:
  ErrorScope() noexcept { ERR_set_mark(); }
  ~ErrorScope() { ERR_pop_to_mark(); }
  ErrorScope(const ErrorScope&) = delete;
  ErrorScope& operator=(const ErrorScope&) = delete;
};

using Read = std::expected<std::string, const char*>;

std::string_view bytes_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

// ---- Names

// Characters that hide, end or reorder what stands around them in a log: controls (C0, DEL, C1), line and paragraph
// separators, and those of the bidirectional algorithm. `text` is UTF-8.
bool is_printable(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto at = [&](std::size_t offset) {
      return i + offset < text.size() ? static_cast<std::uint8_t>(text[i + offset]) : 0;
    };
    if (at(0) < 0x20 || at(0) == 0x7f) return false;
    if (at(0) == 0xc2 && at(1) < 0xa0) return false;                             // U+0080 to U+009F
    if (at(0) == 0xd8 && at(1) == 0x9c) return false;                            // U+061C
    if (at(0) == 0xe2 && at(1) == 0x80 &&
        ((at(2) >= 0x8e && at(2) <= 0x8f) || (at(2) >= 0xa8 && at(2) <= 0xae))) {
      return false;                                                              // U+200E, U+200F, U+2028 to U+202E
    }
    if (at(0) == 0xe2 && at(1) == 0x81 && at(2) >= 0xa6 && at(2) <= 0xa9) return false;  // U+2066 to U+2069
  }
  return true;
}

Read check_subject(std::string_view text) {
  if (text.empty()) return std::unexpected("its subject is empty");
  if (text.size() > kSubjectBytesMax) return std::unexpected("its subject is too long");
  if (!http::is_utf8(text) || !is_printable(text)) {
    return std::unexpected("its subject has characters that are not printable");
  }
  return std::string(text);
}

// The one alternative name of that type (RFC 5280 section 4.2.1.6).
Read alternative_name(const X509& certificate, int type) {
  int critical = 0;
  const Owned<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, &critical, nullptr)));
  if (names == nullptr) {
    return std::unexpected(critical == -1 ? "it has no alternative names"
                                          : "its alternative names are malformed or there twice");
  }
  const ASN1_IA5STRING* found = nullptr;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int its_type = -1;
    const void* const value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &its_type);
    if (its_type != type) continue;
    if (found != nullptr) return std::unexpected("it has several alternative names of the type in question");
    found = static_cast<const ASN1_IA5STRING*>(value);
  }
  if (found == nullptr) return std::unexpected("it has no alternative name of the type in question");
  auto subject = check_subject(bytes_of(found));
  // IA5String is ASCII; and host names differ by nothing in case (RFC 4343).
  if (subject && std::ranges::any_of(*subject, [](char c) { return static_cast<std::uint8_t>(c) >= 0x80; })) {
    return std::unexpected("its subject is not ASCII");
  }
  if (subject && type == GEN_DNS) *subject = http::lower_case(*subject);
  return subject;
}

// The one common name of the subject.
Read common_name(const X509& certificate) {
  const X509_NAME* const name = X509_get_subject_name(&certificate);
  const int first = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (first < 0) return std::unexpected("it has no common name");
  if (X509_NAME_get_index_by_NID(name, NID_commonName, first) >= 0) {
    return std::unexpected("it has several common names");
  }
  const ASN1_STRING* const text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, first));
  switch (ASN1_STRING_type(text)) {
    // The types of which the bytes are UTF-8; RFC 5280 wants nothing else in new certificates.
    case V_ASN1_UTF8STRING:
    case V_ASN1_PRINTABLESTRING:
    case V_ASN1_IA5STRING: return check_subject(bytes_of(text));
    default: return std::unexpected("its common name is in a character set of the past");
  }
}

Read subject_of(const X509& certificate, CertificateSubject subject) {
  switch (subject) {
    case CertificateSubject::kSanUri: return alternative_name(certificate, GEN_URI);
    case CertificateSubject::kSanDns: return alternative_name(certificate, GEN_DNS);
    case CertificateSubject::kSanEmail: return alternative_name(certificate, GEN_EMAIL);
    case CertificateSubject::kCommonName: return common_name(certificate);
  }
  return std::unexpected("no such kind of subject");
}

// RFC 4514, escaped so that it is printable ASCII.
Read distinguished_name(const X509_NAME* name) {
  const Owned<BIO> out(BIO_new(BIO_s_mem()));
  if (out == nullptr || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) < 0) {
    return std::unexpected("a distinguished name is malformed");
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<std::size_t>(std::max(size, 0L)));
}

// ---- Times

std::optional<WallTime> time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return WallTime(std::chrono::seconds(::timegm(&parts)));
}

// 99991231235959Z: without a well-defined end (RFC 5280 section 4.1.2.5).
bool is_endless(WallTime time) {
  constexpr std::chrono::seconds kLastSecond{253'402'300'799};
  return time.time_since_epoch() >= kLastSecond;
}

// ---- The verifier

class CertificateBackend final : public VerifierBackend {
 public:
  CertificateBackend(CertificateSubject subject, std::string name)
      : subject_(subject), issuer_(name), name_(std::move(name)) {}

  std::optional<Verdict> verify_now(const Presented& presented, WallTime now) const override {
    if (presented.kind != CredentialKind::kCertificate) return Verdict::not_mine();
    const ErrorScope errors;
    return verify(presented.token, now);
  }
  std::string_view name() const noexcept override { return name_; }

 private:
  [[nodiscard]] Verdict refuse(const char* why, Failure failure = Failure::kInvalidToken) const {
    return Verdict::refuse(failure, name_ + ": the certificate cannot be used: " + why);
  }

  [[nodiscard]] Verdict verify(std::string_view der, WallTime now) const {
    if (der.size() > kCertificateBytesMax) return refuse("it is too large");
    const auto* data = reinterpret_cast<const unsigned char*>(der.data());
    const unsigned char* const end = data + der.size();
    const Owned<X509> certificate(d2i_X509(nullptr, &data, static_cast<long>(der.size())));
    if (certificate == nullptr || data != end) return refuse("it is malformed");
    const auto begins = time_of(X509_get0_notBefore(certificate.get()));
    const auto ends = time_of(X509_get0_notAfter(certificate.get()));
    if (!begins || !ends) return refuse("its times are malformed");
    // The handshake has looked at both, but a session may be resumed, and a connection refreshed, much later.
    if (now < *begins) return refuse("it is not valid yet", Failure::kTokenNotYetValid);
    if (now >= *ends) return refuse("it has ended", Failure::kTokenExpired);
    auto subject = subject_of(*certificate, subject_);
    if (!subject) return refuse(subject.error());
    return accept(*certificate, *subject, der, *begins, is_endless(*ends) ? std::nullopt : ends);
  }

  [[nodiscard]] Verdict accept(const X509& certificate, const std::string& subject, std::string_view der,
                               WallTime begins, std::optional<WallTime> ends) const {
    const auto subject_dn = distinguished_name(X509_get_subject_name(&certificate));
    const auto issuer_dn = distinguished_name(X509_get_issuer_name(&certificate));
    if (!subject_dn || !issuer_dn) return refuse("a name in it is malformed");
    const base::Sha256 digest = base::sha256(der);
    const std::string thumbprint =
        base::base64url_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
    return Verdict::accept(Principal{.issuer = issuer_,
                                     .subject = subject,
                                     .token_id = thumbprint,
                                     .claims = "{\"subject_dn\":" + auth::json_quote(*subject_dn) +
                                               ",\"issuer_dn\":" + auth::json_quote(*issuer_dn) +
                                               ",\"x5t#S256\":" + auth::json_quote(thumbprint) + "}",
                                     .issued_at = begins,
                                     .expires_at = ends,
                                     .valid_until = ends});
  }

  const CertificateSubject subject_;
  const Text issuer_;  // shared by all principals
  const std::string name_;
};

}  // namespace

Verifier client_certificate(CertificateSubject subject, std::string name) {
  return Verifier(std::make_shared<CertificateBackend>(subject, std::move(name)));
}

}  // namespace sallyport
