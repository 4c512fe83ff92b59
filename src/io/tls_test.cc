#include "io/tls.h"

#include <gtest/gtest.h>
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
