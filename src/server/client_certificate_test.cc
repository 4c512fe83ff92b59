// Mutual TLS up to the verifier: what of a client's certificate reaches it, in a handshake and in a refresh.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>

#include "io/test_authority.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;
using io::test::der_of;

struct Mutual {
  Mutual() {
    ca_file = folder.write("ca.pem", authority.certificate_pem());
  }
  [[nodiscard]] Tls tls(ClientCertificate ask) const {
    Tls made = localhost_tls();
    made.client_ca_file = ca_file;
    made.client_certificate = ask;
    return made;
  }
  io::test::TempFolder folder;
  io::test::Authority authority;
  std::string ca_file;
};

class ClientCertificateTest : public ::testing::Test {
 protected:
  // Whoever asks is let in, under the name of what was presented.
  void serve(CredentialSet from, ClientCertificate ask = ClientCertificate::kOptional) {
    server = std::make_unique<Server>(AppOptions{.tls = mutual.tls(ask), .log = log.sink()});
    server->app.ws("/", {.auth = {.verifier = verifier([this](Presented presented) -> awaitable<Verdict> {
                                    kinds.add(std::string(name(presented.kind)));
                                    tokens.add(std::string(presented.token));
                                    certificates.add(std::string(presented.certificate));
                                    co_return Verdict::accept(Principal{.issuer = "test", .subject = "ada"});
                                  }),
                                  .from = std::move(from)},
                         .subprotocols = {"sallyport.v1"}});
    server->start();
  }
  [[nodiscard]] std::unique_ptr<Client> connect(const io::test::Certificate* certificate) const {
    return std::make_unique<Client>(server->port(), Client::Options{.tls = true, .certificate = certificate});
  }

  Mutual mutual;
  Log log;
  Record kinds;
  Record tokens;
  Record certificates;
  std::unique_ptr<Server> server;
};

TEST_F(ClientCertificateTest, IsACredential) {
  serve(certificate);
  const io::test::Certificate made = mutual.authority.issue();
  EXPECT_EQ(connect(&made)->upgrade("/").status, 101);
  EXPECT_EQ(kinds.all(), std::vector<std::string>{"certificate"});
  EXPECT_EQ(tokens.all(), std::vector<std::string>{der_of(made.certificate_pem)});
  EXPECT_EQ(certificates.all(), tokens.all());
  EXPECT_EQ(connect(nullptr)->upgrade("/").status, 401);
}

TEST_F(ClientCertificateTest, StandsBesideOtherCredentials) {
  serve(header);
  const io::test::Certificate made = mutual.authority.issue();
  EXPECT_EQ(connect(&made)->upgrade("/", bearer("t")).status, 101);
  EXPECT_EQ(connect(nullptr)->upgrade("/", bearer("t")).status, 101);
  EXPECT_EQ(kinds.all(), (std::vector<std::string>{"header", "header"}));
  EXPECT_EQ(certificates.all(), (std::vector<std::string>{der_of(made.certificate_pem), ""}));
}

TEST_F(ClientCertificateTest, StandsBesideAFirstMessageAndARefresh) {
  serve(first_message);
  const io::test::Certificate made = mutual.authority.issue();
  const auto c = connect(&made);
  ASSERT_EQ(c->upgrade("/").status, 101);
  c->send(R"({"type":"auth","token":"a"})");
  EXPECT_NE(c->hear_text().find("\"ready\""), std::string::npos);
  c->send(R"({"type":"refresh","token":"b"})");
  EXPECT_NE(c->hear_text().find("\"refreshed\""), std::string::npos);
  EXPECT_EQ(tokens.all(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(certificates.all(), std::vector<std::string>(2, der_of(made.certificate_pem)));
}

TEST_F(ClientCertificateTest, AndATokenAreTwoCredentialsWhereBothCount) {
  serve(certificate | header);
  const io::test::Certificate made = mutual.authority.issue();
  EXPECT_EQ(connect(&made)->upgrade("/", bearer("t")).status, 400);
  EXPECT_EQ(connect(nullptr)->upgrade("/", bearer("t")).status, 101);
  EXPECT_EQ(connect(&made)->upgrade("/").status, 101);
}

TEST_F(ClientCertificateTest, IsMissedBeforeAnyRequestWhereItIsRequired) {
  serve(header, ClientCertificate::kRequired);
  EXPECT_EQ(connect(nullptr)->upgrade("/", bearer("t")).status, 0);
  const io::test::Authority stranger;
  const io::test::Certificate foreign = stranger.issue();
  EXPECT_EQ(connect(&foreign)->upgrade("/", bearer("t")).status, 0);
  EXPECT_TRUE(eventually([&] {
    return log.count("tls.handshake_failed", "peer did not return a certificate") == 1 &&
           log.count("tls.handshake_failed", "certificate signature failure") == 1;
  }));
  const io::test::Certificate made = mutual.authority.issue();
  EXPECT_EQ(connect(&made)->upgrade("/", bearer("t")).status, 101);
  EXPECT_EQ(kinds.size(), 1U);
}

TEST_F(ClientCertificateTest, IsNotLookedAtWhereItIsNotAskedFor) {
  serve(header, ClientCertificate::kNone);
  const io::test::Certificate made = mutual.authority.issue();
  EXPECT_EQ(connect(&made)->upgrade("/", bearer("t")).status, 101);
  EXPECT_EQ(certificates.all(), std::vector<std::string>{""});
}

TEST_F(ClientCertificateTest, NeedsAnAuthority) {
  Tls tls = localhost_tls();
  tls.client_certificate = ClientCertificate::kOptional;
  EXPECT_THROW(App({.tls = tls}), std::invalid_argument);
  tls.client_ca_file = mutual.folder.path() + "/missing.pem";
  try {
    App app({.tls = tls});
    FAIL() << "the file is missing";
  } catch (const std::runtime_error& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with(tls.client_ca_file + ": ")) << error.what();
  }
}

}  // namespace
}  // namespace sallyport
