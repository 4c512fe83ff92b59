// Mutual TLS: whom a server lets in, what it learns, and what a resumed session is worth.

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "io/stream.h"
#include "io/test_authority.h"
#include "io/test_certificate.h"
#include "io/tls.h"

namespace sallyport::io {
namespace {

using namespace std::chrono_literals;
using Ask = ClientAuth::Ask;
using test::Authority;

struct FreeSession {
  void operator()(SSL_SESSION* session) const noexcept { SSL_SESSION_free(session); }
};
using Session = std::unique_ptr<SSL_SESSION, FreeSession>;

struct Client {
  const test::Certificate* certificate = nullptr;
  std::string intermediate_pem = {};
  int version = TLS1_3_VERSION;
  SSL_SESSION* session = nullptr;
};

/// What became of one handshake.
struct Outcome {
  bool accepted = false;
  std::shared_ptr<const std::string> certificate;
  std::string why;
  Session session;
};

X509* read_pem(const std::string& pem) {
  BIO* const in = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* const certificate = PEM_read_bio_X509(in, nullptr, nullptr, nullptr);
  BIO_free(in);
  return certificate;
}

void use(SSL_CTX* context, const Client& client) {
  BIO* const in = BIO_new_mem_buf(client.certificate->key_pem.data(),
                                  static_cast<int>(client.certificate->key_pem.size()));
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr);
  BIO_free(in);
  X509* const certificate = read_pem(client.certificate->certificate_pem);
  SSL_CTX_use_certificate(context, certificate);
  SSL_CTX_use_PrivateKey(context, key);
  X509_free(certificate);
  EVP_PKEY_free(key);
  if (!client.intermediate_pem.empty()) SSL_CTX_add0_chain_cert(context, read_pem(client.intermediate_pem));
}

// The client's side, to its end; the session is what the last ticket made.
Session talk(int fd, const Client& client) {
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, client.version);
  SSL_CTX_set_max_proto_version(context, client.version);
  SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
  if (client.certificate != nullptr) use(context, client);
  SSL* const ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  if (client.session != nullptr) SSL_set_session(ssl, client.session);
  Session session;
  char byte = 0;
  if (SSL_connect(ssl) == 1 && SSL_read(ssl, &byte, 1) == 1) session.reset(SSL_get1_session(ssl));
  // OpenSSL forgets a session whose connection did not end in order.
  SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN);
  SSL_free(ssl);
  SSL_CTX_free(context);
  ::close(fd);
  return session;
}

class ClientCertificates : public ::testing::Test {
 protected:
  std::shared_ptr<const TlsContext> context_for(Ask ask, const std::string& ca_pem) {
    const test::Certificate made = test::make_certificate();
    auto loaded = TlsContext::load(folder_.write("crt.pem", made.certificate_pem),
                                   folder_.write("key.pem", made.key_pem),
                                   {.ask = ask, .ca_file = folder_.write("ca.pem", ca_pem)});
    EXPECT_TRUE(loaded) << loaded.error();
    return *loaded;
  }

  static Outcome shake(const TlsContext& context, const Client& client = {}) {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    Outcome outcome;
    Stream stream(fds[0], &context);
    std::thread peer([&] { outcome.session = talk(fds[1], client); });
    const IoStatus status = stream.handshake(&outcome.why);  // the descriptor blocks
    outcome.accepted = status == IoStatus::kOk;
    outcome.certificate = stream.peer_certificate();
    if (outcome.accepted) {
      const std::string_view part = "x";
      EXPECT_EQ(stream.write({&part, 1}).status, IoStatus::kOk);
    }
    // The client reads the alert, or the byte, before the descriptor goes.
    ::shutdown(fds[0], SHUT_WR);
    peer.join();
    return outcome;
  }

  test::TempFolder folder_;
  Authority authority_;
  std::shared_ptr<const TlsContext> required_ = context_for(Ask::kRequired, authority_.certificate_pem());
  std::shared_ptr<const TlsContext> optional_ = context_for(Ask::kOptional, authority_.certificate_pem());
};

TEST_F(ClientCertificates, AreLearnedWhereTheyVerify) {
  const test::Certificate client = authority_.issue();
  for (const auto& context : {required_, optional_}) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      const Outcome outcome = shake(*context, {.certificate = &client, .version = version});
      ASSERT_TRUE(outcome.accepted) << outcome.why;
      ASSERT_NE(outcome.certificate, nullptr);
      EXPECT_EQ(*outcome.certificate, test::der_of(client.certificate_pem));
    }
  }
}

TEST_F(ClientCertificates, AreMissedOnlyWhereTheyAreRequired) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const Outcome refused = shake(*required_, {.version = version});
    EXPECT_FALSE(refused.accepted);
    EXPECT_EQ(refused.why, "peer did not return a certificate");
    const Outcome outcome = shake(*optional_, {.version = version});
    EXPECT_TRUE(outcome.accepted);
    EXPECT_EQ(outcome.certificate, nullptr);
  }
}

TEST_F(ClientCertificates, AreNotAskedForByDefault) {
  const test::Certificate made = test::make_certificate();
  const auto context = TlsContext::load(folder_.write("crt.pem", made.certificate_pem),
                                        folder_.write("key.pem", made.key_pem));
  ASSERT_TRUE(context);
  const test::Certificate client = authority_.issue();
  const Outcome outcome = shake(**context, {.certificate = &client});
  EXPECT_TRUE(outcome.accepted);
  EXPECT_EQ(outcome.certificate, nullptr);
}

TEST_F(ClientCertificates, EndTheConnectionWhereTheyDoNotVerifyEvenIfOptional) {
  const Authority stranger("test authority");  // the name is the same, the key is not
  const struct {
    const char* what;
    test::Certificate certificate;
    const char* why;
  } cases[] = {
      {"another authority", stranger.issue(), "certificate signature failure"},
      {"its own", test::make_certificate(), "self-signed certificate"},
      {"expired", authority_.issue({.begins = -3600s, .ends = -1s}), "certificate has expired"},
      {"not yet valid", authority_.issue({.begins = 600s, .ends = 3600s}), "certificate is not yet valid"},
      {"for servers", authority_.issue({.usage = "serverAuth"}), "purpose"},
  };
  for (const auto& c : cases) {
    for (const auto& context : {required_, optional_}) {
      for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const Outcome outcome = shake(*context, {.certificate = &c.certificate, .version = version});
        EXPECT_FALSE(outcome.accepted) << c.what;
        EXPECT_EQ(outcome.certificate, nullptr) << c.what;
        EXPECT_NE(outcome.why.find(c.why), std::string::npos) << c.what << ": " << outcome.why;
        EXPECT_EQ(outcome.session, nullptr) << c.what;
      }
    }
  }
}

TEST_F(ClientCertificates, MayLeadThroughIntermediates) {
  const Authority middle = authority_.intermediate("middle");
  const test::Certificate client = middle.issue();
  EXPECT_FALSE(shake(*required_, {.certificate = &client}).accepted) << "the chain is incomplete";
  const Outcome outcome =
      shake(*required_, {.certificate = &client, .intermediate_pem = middle.certificate_pem()});
  ASSERT_TRUE(outcome.accepted) << outcome.why;
  EXPECT_EQ(*outcome.certificate, test::der_of(client.certificate_pem)) << "the leaf, not the intermediate";
}

TEST_F(ClientCertificates, AreTrustedOnlyBelowWhatTheFileNames) {
  const Authority middle = authority_.intermediate("middle");
  const auto context = context_for(Ask::kRequired, middle.certificate_pem());
  const test::Certificate below = middle.issue();
  const test::Certificate beside = authority_.issue();
  EXPECT_TRUE(shake(*context, {.certificate = &below}).accepted) << "an intermediate is an anchor by itself";
  EXPECT_FALSE(shake(*context, {.certificate = &beside}).accepted) << "its root is not trusted";
}

TEST_F(ClientCertificates, OfSeveralAuthoritiesAreTrusted) {
  const Authority other("another authority");
  const auto context = context_for(Ask::kRequired, authority_.certificate_pem() + other.certificate_pem());
  const test::Certificate a = authority_.issue();
  const test::Certificate b = other.issue();
  EXPECT_TRUE(shake(*context, {.certificate = &a}).accepted);
  EXPECT_TRUE(shake(*context, {.certificate = &b}).accepted);
}

TEST_F(ClientCertificates, CannotIssueOthers) {
  const test::Certificate issuer = authority_.issue();
  const Authority forged("client");  // a name that the client's certificate has
  const test::Certificate client = forged.issue();
  EXPECT_FALSE(shake(*required_, {.certificate = &client, .intermediate_pem = issuer.certificate_pem}).accepted);
}

TEST_F(ClientCertificates, StayWithAResumedSession) {
  const test::Certificate client = authority_.issue();
  for (const auto& context : {required_, optional_}) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      const Outcome first = shake(*context, {.certificate = &client, .version = version});
      ASSERT_NE(first.session, nullptr);
      // It sends no certificate any more: only the session has it.
      const Outcome second = shake(*context, {.version = version, .session = first.session.get()});
      ASSERT_TRUE(second.accepted) << second.why;
      ASSERT_NE(second.certificate, nullptr);
      EXPECT_EQ(*second.certificate, test::der_of(client.certificate_pem));
      const Outcome third = shake(*context, {.version = version, .session = second.session.get()});
      ASSERT_NE(third.certificate, nullptr);
    }
  }
}

TEST_F(ClientCertificates, DoNotAppearInASessionThatHadNone) {
  const test::Certificate client = authority_.issue();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const Outcome first = shake(*optional_, {.version = version});
    ASSERT_NE(first.session, nullptr);
    const Outcome second =
        shake(*optional_, {.certificate = &client, .version = version, .session = first.session.get()});
    EXPECT_TRUE(second.accepted);
    EXPECT_EQ(second.certificate, nullptr) << "the session is the one without";
  }
}

TEST_F(ClientCertificates, DoNotCarryOverToAnotherContext) {
  const test::Certificate client = authority_.issue();
  const Authority other("another authority");
  const auto reloaded = context_for(Ask::kRequired, other.certificate_pem());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const Outcome open = shake(*optional_, {.version = version});
    EXPECT_FALSE(shake(*required_, {.version = version, .session = open.session.get()}).accepted)
        << "a session without a certificate, where one is required";
    const Outcome known = shake(*required_, {.certificate = &client, .version = version});
    EXPECT_FALSE(shake(*reloaded, {.certificate = &client, .version = version, .session = known.session.get()}).accepted)
        << "a session of an authority that is no longer trusted";
    const Outcome elsewhere = shake(*optional_, {.version = version, .session = known.session.get()});
    EXPECT_TRUE(elsewhere.accepted);
    EXPECT_EQ(elsewhere.certificate, nullptr);
  }
}

TEST_F(ClientCertificates, ThatHaveEndedEndTheirSessionsToo) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const test::Certificate client = authority_.issue({.ends = 2s});
    const auto ends = std::chrono::steady_clock::now() + 2s;
    const Outcome first = shake(*optional_, {.certificate = &client, .version = version});
    ASSERT_NE(first.session, nullptr);
    ASSERT_NE(shake(*optional_, {.version = version, .session = first.session.get()}).certificate, nullptr)
        << "while it is valid";
    std::this_thread::sleep_until(ends + 1s);
    const Outcome without = shake(*optional_, {.version = version, .session = first.session.get()});
    EXPECT_TRUE(without.accepted) << "a full handshake, in which none was sent";
    EXPECT_EQ(without.certificate, nullptr);
    const Outcome again =
        shake(*optional_, {.certificate = &client, .version = version, .session = first.session.get()});
    EXPECT_FALSE(again.accepted);
    EXPECT_NE(again.why.find("certificate has expired"), std::string::npos) << again.why;
  }
}

TEST_F(ClientCertificates, NameTheFileThatCannotBeUsed) {
  const test::Certificate made = test::make_certificate();
  const std::string certificate = folder_.write("crt.pem", made.certificate_pem);
  const std::string key = folder_.write("key.pem", made.key_pem);
  for (const std::string& file : {folder_.path() + "/missing.pem", folder_.write("empty.pem", ""), key,
                                  folder_.write("noise.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}) {
    const auto context = TlsContext::load(certificate, key, {.ask = Ask::kOptional, .ca_file = file});
    ASSERT_FALSE(context) << file;
    EXPECT_TRUE(context.error().starts_with(file + ": ")) << context.error();
  }
}

}  // namespace
}  // namespace sallyport::io
