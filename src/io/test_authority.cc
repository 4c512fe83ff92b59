#include "io/test_authority.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <stdexcept>
#include <utility>

namespace sallyport::io::test {
namespace {

void require(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(what);
}

template <typename Write>
std::string pem_of(Write&& write) {
  BIO* const out = BIO_new(BIO_s_mem());
  require(out != nullptr && write(out) == 1, "no PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(out);
  return text;
}

const unsigned char* unsigned_of(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

void add_extension(X509* certificate, int nid, const std::string& value) {
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
  require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, "no extension");
  X509_EXTENSION_free(extension);
}

void add_alternative_names(X509* certificate, const std::vector<RawName>& names) {
  GENERAL_NAMES* const list = sk_GENERAL_NAME_new_null();
  for (const RawName& name : names) {
    GENERAL_NAME* const one = GENERAL_NAME_new();
    ASN1_IA5STRING* const text = ASN1_IA5STRING_new();
    ASN1_STRING_set(text, name.bytes.data(), static_cast<int>(name.bytes.size()));
    GENERAL_NAME_set0_value(one, name.type, text);
    sk_GENERAL_NAME_push(list, one);
  }
  X509_EXTENSION* const extension = X509V3_EXT_i2d(NID_subject_alt_name, 0, list);
  require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, "no names");
  X509_EXTENSION_free(extension);
  sk_GENERAL_NAME_pop_free(list, GENERAL_NAME_free);
}

}  // namespace

void Authority::Free::operator()(evp_pkey_st* key) const noexcept { EVP_PKEY_free(key); }
void Authority::Free::operator()(x509_st* certificate) const noexcept { X509_free(certificate); }

Authority::Authority(Key key, X certificate) : key_(std::move(key)), certificate_(std::move(certificate)) {}

Authority::Authority(const std::string& name) : key_(EVP_EC_gen("P-256")) {
  require(key_ != nullptr, "no key");
  certificate_ = make({.common_names = {{kUtf8String, name}}, .usage = {}, .may_issue = true}, *key_, nullptr, *key_);
}

Authority::~Authority() = default;

Authority::X Authority::make(const CertificateSpec& spec, evp_pkey_st& subject_key, const x509_st* issuer,
                             evp_pkey_st& issuer_key) {
  X made(X509_new());
  X509* const certificate = made.get();
  require(certificate != nullptr, "no certificate");
  X509_set_version(certificate, X509_VERSION_3);
  static long serial = 1;
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), spec.begins.count());
  X509_gmtime_adj(X509_getm_notAfter(certificate), spec.ends.count());
  if (spec.endless) ASN1_TIME_set_string(X509_getm_notAfter(certificate), "99991231235959Z");
  for (const RawName& name : spec.common_names) {
    X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, name.type,
                               unsigned_of(name.bytes), static_cast<int>(name.bytes.size()), -1, 0);
  }
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer != nullptr ? issuer : certificate));
  X509_set_pubkey(certificate, &subject_key);
  if (spec.may_issue) add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  if (!spec.usage.empty()) add_extension(certificate, NID_ext_key_usage, spec.usage);
  if (!spec.alternative_names.empty()) add_alternative_names(certificate, spec.alternative_names);
  if (spec.alternative_names_twice) add_alternative_names(certificate, spec.alternative_names);
  require(X509_sign(certificate, &issuer_key, EVP_sha256()) != 0, "no signature");
  return made;
}

std::string Authority::certificate_pem() const {
  return pem_of([this](BIO* out) { return PEM_write_bio_X509(out, certificate_.get()); });
}

Certificate Authority::issue(const CertificateSpec& spec) const {
  const Key key(EVP_EC_gen("P-256"));
  require(key != nullptr, "no key");
  const X certificate = make(spec, *key, certificate_.get(), *key_);
  return {.certificate_pem = pem_of([&](BIO* out) { return PEM_write_bio_X509(out, certificate.get()); }),
          .key_pem = pem_of([&](BIO* out) {
            return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

Authority Authority::intermediate(const std::string& name) const {
  Key key(EVP_EC_gen("P-256"));
  require(key != nullptr, "no key");
  X certificate = make({.common_names = {{kUtf8String, name}}, .usage = {}, .may_issue = true}, *key,
                       certificate_.get(), *key_);
  return {std::move(key), std::move(certificate)};
}

std::string der_of(const std::string& certificate_pem) {
  BIO* const in = BIO_new_mem_buf(certificate_pem.data(), static_cast<int>(certificate_pem.size()));
  X509* const certificate = PEM_read_bio_X509(in, nullptr, nullptr, nullptr);
  BIO_free(in);
  require(certificate != nullptr, "no certificate in the PEM");
  unsigned char* data = nullptr;
  const int size = i2d_X509(certificate, &data);
  std::string der(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
  OPENSSL_free(data);
  X509_free(certificate);
  return der;
}

}  // namespace sallyport::io::test
