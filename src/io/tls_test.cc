#include "io/tls.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>

#include <string>

#include "io/test_certificate.h"
#include "io/test_pair.h"

namespace sallyport::io {
namespace {

using test::Pair;

std::string protocol_chosen(const SSL* ssl) {
  const unsigned char* data = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &data, &size);
  return {reinterpret_cast<const char*>(data), size};
}

// `offer` in the form of RFC 7301: each name after its length.
std::string chosen_of(std::string_view offer) {
  Pair pair(true, Pair::kHandshake, [&](SSL& ssl) {
    SSL_set_alpn_protos(&ssl, reinterpret_cast<const unsigned char*>(offer.data()),
                        static_cast<unsigned>(offer.size()));
  });
  EXPECT_TRUE(pair.connected());
  return protocol_chosen(pair.peer().ssl());
}

TEST(Tls, LoadsACertificateAndItsKey) {
  const test::TempFolder folder;
  const test::Certificate made = test::make_certificate();
  const auto context = TlsContext::load(folder.write("crt.pem", made.certificate_pem),
                                        folder.write("key.pem", made.key_pem));
  ASSERT_TRUE(context.has_value()) << context.error();
  EXPECT_NE((*context)->native(), nullptr);
}

TEST(Tls, NamesTheFileThatCannotBeUsed) {
  const test::TempFolder folder;
  const test::Certificate made = test::make_certificate();
  const test::Certificate other = test::make_certificate();
  const std::string certificate = folder.write("crt.pem", made.certificate_pem);
  const std::string key = folder.write("key.pem", made.key_pem);
  const std::string nothing = folder.write("empty.pem", "");
  const std::string foreign_key = folder.write("other.pem", other.key_pem);
  const std::string missing = folder.path() + "/missing.pem";
  const struct {
    std::string certificate, key, culprit;
  } cases[] = {
      {missing, key, missing},         {nothing, key, nothing},           {key, key, key},
      {certificate, missing, missing}, {certificate, nothing, nothing},   {certificate, certificate, certificate},
      {certificate, foreign_key, foreign_key},
  };
  for (const auto& c : cases) {
    const auto context = TlsContext::load(c.certificate, c.key);
    ASSERT_FALSE(context.has_value()) << c.culprit;
    EXPECT_TRUE(context.error().starts_with(c.culprit + ": ")) << context.error();
    EXPECT_EQ(context.error().find(made.key_pem.substr(40, 20)), std::string::npos);
  }
}

// Made with: openssl genpkey -algorithm ed25519 -aes-256-cbc
constexpr const char* kEncryptedKey = R"(-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiI8AwABriZ5wICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEInmvO+IyQKBuwQn0lFOfB0EQL9e
8uzu8PuBieQFKk8P4yfrbtdcUC/t6a5w/VGR0pLgFgVHVk8QPTzVxLTWRtuVLrTX
Yao3L1M0K3UZlU+FEaM=
-----END ENCRYPTED PRIVATE KEY-----
)";

TEST(Tls, SaysWhatIsWrongWithEachFileOfAPair) {
  const test::TempFolder folder;
  const test::Certificate made = test::make_certificate();
  const std::string certificate = folder.write("crt.pem", made.certificate_pem);
  const std::string key = folder.write("key.pem", made.key_pem);
  const std::string other = folder.write("other.pem", test::make_certificate().key_pem);
  const std::string encrypted = folder.write("encrypted.pem", kEncryptedKey);
  const std::string missing = folder.path() + "/missing.pem";
  const std::string gone = missing + ": cannot be opened: No such file or directory";
  const std::string unreadable = ": the private key is encrypted or not one that OpenSSL can read";
  ERR_raise(ERR_LIB_USER, 1);  // left behind by somebody else
  const auto expect = [&](const std::string& crt, const std::string& pem, const std::string& crt_fault,
                          const std::string& pem_fault) {
    const PairFaults faults = check_pair(crt, pem);
    EXPECT_EQ(faults.certificate, crt_fault);
    EXPECT_EQ(faults.key, pem_fault);
    EXPECT_EQ(TlsContext::load(crt, pem).has_value(), crt_fault.empty() && pem_fault.empty());
    EXPECT_EQ(ERR_peek_error(), 0U);
  };
  expect(certificate, key, "", "");
  expect(missing, key, gone, "");
  expect(missing, missing, gone, gone);
  expect(certificate, missing, "", gone);
  expect(certificate, other, "", other + ": does not belong to the certificate");
  expect(certificate, certificate, "", certificate + unreadable);
  expect(certificate, encrypted, "", encrypted + unreadable);  // and nobody is asked for a passphrase
  expect(missing, encrypted, gone, encrypted + unreadable);
}

TEST(Tls, SaysOfAKeyOfAnotherKindThatItDoesNotBelong) {
  const test::TempFolder folder;
  const std::string certificate = folder.write("crt.pem", test::make_certificate().certificate_pem);
  EVP_PKEY* const rsa = EVP_RSA_gen(2048);
  BIO* const out = BIO_new(BIO_s_mem());
  ASSERT_EQ(PEM_write_bio_PrivateKey(out, rsa, nullptr, nullptr, 0, nullptr, nullptr), 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  const std::string key = folder.write("rsa.pem", std::string(data, static_cast<std::size_t>(size)));
  BIO_free(out);
  EVP_PKEY_free(rsa);
  EXPECT_EQ(check_pair(certificate, key).key, key + ": does not belong to the certificate");
}

TEST(Tls, SpeaksTls12And13AndNothingOlder) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Pair pair(true, Pair::kHandshake, [&](SSL& ssl) {
      SSL_set_min_proto_version(&ssl, version);
      SSL_set_max_proto_version(&ssl, version);
    });
    EXPECT_TRUE(pair.connected()) << version;
  }
  Pair old(true, Pair::kHandshake, [](SSL& ssl) {
    SSL_set_security_level(&ssl, 0);  // or the client itself would refuse
    SSL_set_min_proto_version(&ssl, TLS1_1_VERSION);
    SSL_set_max_proto_version(&ssl, TLS1_1_VERSION);
  });
  EXPECT_FALSE(old.connected());
  EXPECT_FALSE(old.stream().handshaken());
}

TEST(Tls, RefusesCiphersWithoutForwardSecrecy) {
  Pair pair(true, Pair::kHandshake, [](SSL& ssl) {
    SSL_set_max_proto_version(&ssl, TLS1_2_VERSION);
    SSL_set_cipher_list(&ssl, "ECDHE-ECDSA-AES128-SHA");
  });
  EXPECT_FALSE(pair.connected());
}

TEST(Tls, SelectsHttp11WhereItIsOffered) {
  EXPECT_EQ(chosen_of("\x02h2\x08http/1.1"), "http/1.1");
  EXPECT_EQ(chosen_of("\x08http/1.1"), "http/1.1");
}

TEST(Tls, SelectsNoProtocolWhereOnlyOthersAreOffered) { EXPECT_EQ(chosen_of("\x02h2"), ""); }

}  // namespace
}  // namespace sallyport::io
