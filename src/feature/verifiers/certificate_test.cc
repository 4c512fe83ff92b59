#include <gtest/gtest.h>
#include <openssl/asn1.h>
#include <openssl/err.h>

#include <chrono>
#include <string>
#include <vector>

#include "core/base/base64url.h"
#include "core/base/digest.h"
#include "io/test_authority.h"
#include "sallyport/verifiers.h"

namespace sallyport {
namespace {

using namespace std::chrono_literals;
using io::test::CertificateSpec;
using io::test::der_of;
using io::test::kDnsName;
using io::test::kEmailName;
using io::test::kUriName;
using io::test::kUtf8String;
using io::test::RawName;

const io::test::Authority& authority() {
  static const io::test::Authority made("clients' authority");
  return made;
}
std::string der(const CertificateSpec& spec) { return der_of(authority().issue(spec).certificate_pem); }

WallTime wall_now() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

Verdict ask(CertificateSubject subject, std::string_view certificate, WallTime now = wall_now(),
            CredentialKind kind = CredentialKind::kCertificate) {
  return client_certificate(subject, "machines")
      .backends()
      .front()
      ->verify_now({.kind = kind, .token = certificate, .certificate = certificate}, now)
      .value_or(Verdict::unavailable());
}

// The subject, or why there is none.
std::string subject_of(CertificateSubject subject, const CertificateSpec& spec) {
  const Verdict verdict = ask(subject, der(spec));
  if (verdict.accepted()) return verdict.principal()->subject.str();
  EXPECT_FALSE(verdict.is_not_mine());
  EXPECT_EQ(verdict.failure(), Failure::kInvalidToken);
  return "refused: " + verdict.detail().substr(verdict.detail().rfind(':') + 2);
}
std::string by_uri(std::vector<RawName> names) {
  return subject_of(CertificateSubject::kSanUri, {.alternative_names = std::move(names)});
}
std::string by_common_name(std::vector<RawName> names) {
  return subject_of(CertificateSubject::kCommonName, {.common_names = std::move(names)});
}

const CertificateSpec kAllNames{.common_names = {{kUtf8String, "Ada"}},
                                .alternative_names = {{kUriName, "spiffe://example.com/ada"},
                                                      {kDnsName, "Ada.Example.com"},
                                                      {kEmailName, "Ada@example.com"}}};

TEST(ClientCertificate, TakesTheNameThatIsAskedFor) {
  EXPECT_EQ(subject_of(CertificateSubject::kSanUri, kAllNames), "spiffe://example.com/ada");
  EXPECT_EQ(subject_of(CertificateSubject::kSanDns, kAllNames), "ada.example.com");
  EXPECT_EQ(subject_of(CertificateSubject::kSanEmail, kAllNames), "Ada@example.com");
  EXPECT_EQ(subject_of(CertificateSubject::kCommonName, kAllNames), "Ada");
  EXPECT_EQ(by_common_name({{kUtf8String, "Zo\xc3\xab \xe2\x82\xac"}}), "Zo\xc3\xab \xe2\x82\xac");
}

TEST(ClientCertificate, MakesAPrincipalThatEndsWithIt) {
  const WallTime now = std::chrono::floor<std::chrono::seconds>(wall_now());
  const std::string certificate = der(kAllNames);
  const Verdict verdict = ask(CertificateSubject::kSanUri, certificate);
  ASSERT_TRUE(verdict.accepted()) << verdict.detail();
  const Principal& who = *verdict.principal();
  EXPECT_EQ(who.issuer, "machines");
  EXPECT_TRUE(who.session.empty());
  EXPECT_TRUE(who.scopes.empty());
  ASSERT_TRUE(who.issued_at && who.expires_at && who.valid_until);
  EXPECT_LE(std::chrono::abs(*who.issued_at - (now - 60s)), 2s);
  EXPECT_LE(std::chrono::abs(*who.expires_at - (now + 3600s)), 2s);
  EXPECT_EQ(who.valid_until, who.expires_at) << "no leeway";
  EXPECT_FALSE(who.recheck_every);
  const auto digest = base::sha256(certificate);
  EXPECT_EQ(who.token_id, base::base64url_encode({reinterpret_cast<const char*>(digest.data()), digest.size()}));
  EXPECT_EQ(who.claim("x5t#S256"), who.token_id.str());
  EXPECT_EQ(who.claim("subject_dn"), "CN=Ada");
  EXPECT_EQ(who.claim("issuer_dn"), "CN=clients' authority");
}

TEST(ClientCertificate, EscapesTheNamesInItsClaims) {
  const Verdict verdict = ask(CertificateSubject::kSanUri,
                              der({.common_names = {{kUtf8String, "a\"b,c\\d\ne\xc3\xab"}},
                                   .alternative_names = {{kUriName, "urn:x"}}}));
  ASSERT_TRUE(verdict.accepted()) << verdict.detail();
  EXPECT_EQ(verdict.principal()->claim("subject_dn"), R"(CN=a\"b\,c\\d\0Ae\C3\AB)");
}

TEST(ClientCertificate, RefusesNoneOrSeveralOfTheName) {
  EXPECT_EQ(by_uri({}), "refused: it has no alternative names");
  EXPECT_EQ(by_uri({{kDnsName, "a.example"}}), "refused: it has no alternative name of the type in question");
  EXPECT_EQ(by_uri({{kUriName, "urn:a"}, {kUriName, "urn:b"}}),
            "refused: it has several alternative names of the type in question");
  EXPECT_EQ(by_uri({{kUriName, "urn:a"}, {kDnsName, "a.example"}, {kUriName, "urn:a"}}),
            "refused: it has several alternative names of the type in question");
  EXPECT_EQ(subject_of(CertificateSubject::kSanUri,
                       {.alternative_names = {{kUriName, "urn:a"}}, .alternative_names_twice = true}),
            "refused: its alternative names are malformed or there twice");
  EXPECT_EQ(by_common_name({}), "refused: it has no common name");
  EXPECT_EQ(by_common_name({{kUtf8String, "a"}, {kUtf8String, "b"}}), "refused: it has several common names");
}

TEST(ClientCertificate, RefusesASubjectThatIsNotPrintable) {
  const std::string unprintable = "refused: its subject has characters that are not printable";
  for (const std::string& bytes :
       {std::string("a\0b", 3), std::string("a\0", 2), std::string("a\nb"), std::string("\x1b[2J"), std::string("a\x7f"),
        std::string("a\xc2\x85"), std::string("a\xe2\x80\xae" "b"), std::string("a\xe2\x80\xa8"), std::string("a\xe2\x81\xa6"),
        std::string("a\xd8\x9c"), std::string("a\xff"), std::string("a\xc3"), std::string("a\xed\xa0\x80")}) {
    EXPECT_EQ(by_uri({{kUriName, "urn:" + bytes}}), unprintable) << testing::PrintToString(bytes);
    EXPECT_EQ(by_common_name({{V_ASN1_IA5STRING, bytes}}), unprintable) << testing::PrintToString(bytes);
  }
  EXPECT_EQ(by_uri({{kUriName, "urn:zo\xc3\xab"}}), "refused: its subject is not ASCII");
}

TEST(ClientCertificate, RefusesAnEmptyAndAnEndlessSubject) {
  EXPECT_EQ(by_uri({{kUriName, ""}}), "refused: its subject is empty");
  EXPECT_EQ(by_uri({{kUriName, std::string(2048, 'u')}}), std::string(2048, 'u'));
  EXPECT_EQ(by_uri({{kUriName, std::string(2049, 'u')}}), "refused: its subject is too long");
}

TEST(ClientCertificate, RefusesCharacterSetsThatMeanOtherBytes) {
  EXPECT_EQ(by_common_name({{V_ASN1_PRINTABLESTRING, "ada"}}), "ada");
  for (const RawName& name : {RawName{V_ASN1_T61STRING, "ada"}, RawName{V_ASN1_BMPSTRING, std::string("\0a\0d", 4)},
                              RawName{V_ASN1_UNIVERSALSTRING, std::string("\0\0\0a", 4)}}) {
    EXPECT_EQ(by_common_name({name}), "refused: its common name is in a character set of the past") << name.type;
  }
}

TEST(ClientCertificate, HoldsFromItsBeginningUpToItsEnd) {
  const std::string certificate = der(kAllNames);
  const Principal who = *ask(CertificateSubject::kSanUri, certificate).principal();
  const auto failure_at = [&](WallTime now) {
    const Verdict verdict = ask(CertificateSubject::kSanUri, certificate, now);
    return verdict.accepted() ? std::nullopt : std::optional(verdict.failure());
  };
  EXPECT_EQ(failure_at(*who.issued_at - 1ms), Failure::kTokenNotYetValid);
  EXPECT_EQ(failure_at(*who.issued_at), std::nullopt);
  EXPECT_EQ(failure_at(*who.expires_at - 1ms), std::nullopt);
  EXPECT_EQ(failure_at(*who.expires_at), Failure::kTokenExpired);
}

TEST(ClientCertificate, WithoutAnEndMakesAPrincipalWithoutOne) {
  CertificateSpec spec = kAllNames;
  spec.endless = true;
  const Verdict verdict = ask(CertificateSubject::kSanUri, der(spec));
  ASSERT_TRUE(verdict.accepted()) << verdict.detail();
  EXPECT_FALSE(verdict.principal()->expires_at);
  EXPECT_FALSE(verdict.principal()->valid_until);
}

TEST(ClientCertificate, RefusesWhatIsNoCertificate) {
  const std::string good = der(kAllNames);
  ERR_clear_error();
  for (const std::string& bytes : {std::string(), std::string("garbage"), good + "x", good.substr(0, good.size() - 1),
                                   good + good, std::string(20'000, '0')}) {
    const Verdict verdict = ask(CertificateSubject::kSanUri, bytes);
    EXPECT_FALSE(verdict.accepted());
    EXPECT_FALSE(verdict.is_not_mine());
    EXPECT_EQ(verdict.failure(), Failure::kInvalidToken);
  }
  EXPECT_EQ(ERR_peek_error(), 0U) << "nothing is left for the thread's TLS streams to find";
}

TEST(ClientCertificate, LeavesOtherCredentialsToOthers) {
  const std::string certificate = der(kAllNames);
  for (const CredentialKind kind : {CredentialKind::kHeader, CredentialKind::kCookie, CredentialKind::kFirstMessage,
                                    CredentialKind::kSubprotocol, CredentialKind::kTicket}) {
    EXPECT_TRUE(ask(CertificateSubject::kSanUri, certificate, wall_now(), kind).is_not_mine());
  }
}

}  // namespace
}  // namespace sallyport
