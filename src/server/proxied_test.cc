// Who the client is behind trusted proxies, and everything that goes by its address.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "io/test_cpu_time.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;

constexpr const char* kProxy = "127.0.0.2";     // trusted
constexpr const char* kStranger = "127.0.0.3";  // not

std::string version1(const std::string& source) {
  return "PROXY TCP4 " + source + " 127.0.0.1 40000 443\r\n";
}
std::string version2(unsigned command, const std::vector<unsigned>& source) {
  std::string header("\r\n\r\n\0\r\nQUIT\n", 12);
  for (const unsigned byte : {command, 0x11U, 0U, 15U}) header.push_back(static_cast<char>(byte));
  for (const unsigned byte : source) header.push_back(static_cast<char>(byte));
  return header + std::string("\x7f\0\0\1\x10\0\1\xbb", 8) + std::string("\4\0\0", 3);
}
Fields by_x(const std::string& value) { return {{"X-Forwarded-For", value}}; }

class ProxiedTest : public ::testing::TestWithParam<bool> {
 protected:
  AppOptions options() {
    return {.tls = GetParam() ? std::optional(localhost_tls()) : std::nullopt,
            .trusted_proxies = {kProxy, "10.0.0.0/8"},
            .limits = {.handshake_timeout = 3s, .pending_per_address = 3, .failures_per_address = {3, 60'000ms}},
            .log = log.sink()};
  }
  // "/" lets everybody in and says whom; "/token" wants the secret verifier's; "/inside" and "/outside" go by address;
  // "/slow" never answers.
  void serve(RunOptions run = {.workers = 1, .drain = 0ms}) {
    server.app.use([this](Request& request, Next next) -> awaitable<void> {
      requests.add(request.address());
      co_await next();
    });
    const auto tell = [](Connection& c) { c.send(c.address()); };
    server.app.ws("/", {.auth = {.verifier = insecure_anonymous(), .from = {}}, .on_open = tell});
    server.app.ws("/token", {.auth = {.verifier = secret_verifier(), .from = header}, .on_open = tell});
    server.app.ws("/inside", {.auth = {.verifier = insecure_anonymous(), .from = {}},
                              .allow_addresses = std::vector<std::string>{"127.0.0.0/8"},
                              .on_open = tell});
    server.app.ws("/outside", {.auth = {.verifier = insecure_anonymous(), .from = {}},
                               .deny_addresses = {"192.0.2.0/24"},
                               .on_open = tell});
    server.app.ws("/slow", {.auth = {.verifier = verifier([](Presented) -> awaitable<Verdict> {
                                       co_await pause_for(60s);
                                       co_return Verdict::refuse();
                                     },
                                                          {.deadline = 60s}),
                                     .from = header}});
    server.app.get("/page", [](Request& request) { return Response{.body = request.address()}; });
    server.start(std::move(run));
  }
  [[nodiscard]] Client connect(const std::string& from, const std::string& first = {}) const {
    return Client(server.port(), {.tls = GetParam(), .from = from, .first = first});
  }
  // The address that the server sees, or the status of its refusal.
  [[nodiscard]] std::string seen(const std::string& from, const std::string& first, const Fields& fields = {},
                                 const std::string& path = "/") const {
    Client c = connect(from, first);
    if (!c.connected()) return "no connection";
    const int status = c.upgrade(path, fields).status;
    return status == 101 ? c.hear_text() : std::to_string(status);
  }

  Log log;
  Record requests;
  Server server{options()};
};

INSTANTIATE_TEST_SUITE_P(Transports, ProxiedTest, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "Tls" : "Plain"; });

class PlainProxiedTest : public ProxiedTest {};
INSTANTIATE_TEST_SUITE_P(Plain, PlainProxiedTest, ::testing::Values(false));

TEST(TrustedProxies, ThatAreNoAddressBlocksAreRefused) {
  for (const char* const wrong : {"", "localhost", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0-10.0.0.9"}) {
    EXPECT_THROW(App({.trusted_proxies = {"10.0.0.0/8", wrong}}), std::invalid_argument) << wrong;
  }
}

// ---- Header fields

TEST_P(ProxiedTest, BelievesATrustedProxysFields) {
  serve();
  EXPECT_EQ(seen(kProxy, {}, by_x("192.0.2.1")), "192.0.2.1");
  EXPECT_EQ(seen(kProxy, {}, {{"Forwarded", "for=\"[2001:db8::1]:4711\""}}), "2001:db8::1");
  EXPECT_EQ(seen(kProxy, {}, by_x("198.51.100.7, 192.0.2.1, 10.1.2.3")), "192.0.2.1");
  EXPECT_EQ(seen(kProxy, {}, {{"X-Forwarded-For", "198.51.100.7"}, {"X-Forwarded-For", "192.0.2.1"}}), "192.0.2.1");
  EXPECT_EQ(seen(kProxy, {}), kProxy);
  EXPECT_EQ(seen(kProxy, {}, by_x("unknown")), kProxy);
  EXPECT_EQ(requests.all(), (std::vector<std::string>{"192.0.2.1", "2001:db8::1", "192.0.2.1", "192.0.2.1", kProxy, kProxy}));
  EXPECT_EQ(log.count("ws.open", "address=192.0.2.1"), 3U);
}

TEST_P(ProxiedTest, BelievesNobodyElsesFields) {
  serve();
  EXPECT_EQ(seen(kStranger, {}, by_x("192.0.2.1")), kStranger);
  EXPECT_EQ(seen(kStranger, {}, by_x("10.0.0.1")), kStranger);
  EXPECT_EQ(seen(kStranger, {}, {{"Forwarded", "for=192.0.2.1"}}), kStranger);
  EXPECT_EQ(seen(kStranger, {}, {{"X-Forwarded-For", "192.0.2.1"}, {"Forwarded", "for=192.0.2.2"}}), kStranger);
}

TEST_P(ProxiedTest, RefusesFieldsThatContradictEachOther) {
  serve();
  EXPECT_EQ(seen(kProxy, {}, {{"X-Forwarded-For", "192.0.2.1"}, {"Forwarded", "for=192.0.2.1"}}), "192.0.2.1");
  EXPECT_EQ(seen(kProxy, {}, {{"X-Forwarded-For", "192.0.2.1"}, {"Forwarded", "for=198.51.100.7"}}), "400");
  EXPECT_EQ(log.count("ws.refused", "X-Forwarded-For and Forwarded name different addresses"), 1U);
}

TEST_P(ProxiedTest, TellsPlainRequestsToo) {
  serve();
  EXPECT_EQ(connect(kProxy).request("GET", "/page", by_x("192.0.2.1")).body, "192.0.2.1");
  EXPECT_EQ(connect(kStranger).request("GET", "/page", by_x("192.0.2.1")).body, kStranger);
  EXPECT_EQ(connect(kProxy, version1("192.0.2.1")).request("GET", "/page").body, "192.0.2.1");
}

TEST_P(ProxiedTest, RoutesGoByTheClientsAddress) {
  serve();
  EXPECT_EQ(seen(kProxy, {}, by_x("192.0.2.1"), "/inside"), "403");
  EXPECT_EQ(seen(kProxy, {}, by_x("127.0.0.9"), "/inside"), "127.0.0.9");
  EXPECT_EQ(seen(kStranger, {}, by_x("192.0.2.1"), "/inside"), kStranger);
  EXPECT_EQ(seen(kProxy, {}, by_x("192.0.2.1"), "/outside"), "403");
  EXPECT_EQ(seen(kProxy, {}, by_x("192.0.2.1, 198.51.100.7"), "/outside"), "198.51.100.7");
  EXPECT_EQ(seen(kProxy, version1("192.0.2.1"), {}, "/outside"), "403");
  EXPECT_EQ(seen(kProxy, version1("192.0.2.1"), by_x("198.51.100.7"), "/outside"), "403");
}

TEST_P(ProxiedTest, ChecksTheHostOfALoopbackListenerWhateverTheFieldsSay) {
  serve();
  Client c = connect(kProxy);
  c.send_raw("GET / HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
             "X-Forwarded-For: 192.0.2.1\r\n\r\n");
  EXPECT_EQ(c.read_reply().status, 403);
}

// ---- The PROXY protocol

TEST_P(ProxiedTest, BelievesATrustedProxysHeader) {
  serve();
  EXPECT_EQ(seen(kProxy, version1("192.0.2.1")), "192.0.2.1");
  EXPECT_EQ(seen(kProxy, "PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), "2001:db8::1");
  EXPECT_EQ(seen(kProxy, version2(0x21, {192, 0, 2, 1})), "192.0.2.1");
  EXPECT_EQ(seen(kProxy, "PROXY UNKNOWN\r\n"), kProxy);
  EXPECT_EQ(seen(kProxy, version2(0x20, {192, 0, 2, 1})), kProxy);
}

TEST_P(ProxiedTest, WaitsForAHeaderInPieces) {
  serve();
  for (const std::string& header : {version1("192.0.2.1"), version2(0x21, {192, 0, 2, 1})}) {
    Client c(server.port(), {.tls = GetParam(), .from = kProxy, .first = header, .bytewise = true});
    ASSERT_TRUE(c.connected());
    ASSERT_EQ(c.upgrade("/").status, 101);
    EXPECT_EQ(c.hear_text(), "192.0.2.1");
  }
}

TEST_P(PlainProxiedTest, TakesAHeaderAndARequestFromOneSegment) {
  serve();
  for (const std::string& header : {version1("192.0.2.1"), version2(0x21, {192, 0, 2, 1})}) {
    for (std::size_t cut = 1; cut < header.size(); ++cut) {
      Client c(server.port(), {.from = kProxy});
      c.send_raw(header.substr(0, cut));
      std::this_thread::sleep_for(2ms);
      c.send_raw(header.substr(cut) + "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n");
      EXPECT_EQ(c.read_reply().body, "192.0.2.1") << cut;
    }
  }
}

TEST_P(ProxiedTest, BelievesNobodyElsesHeader) {
  serve();
  for (const std::string& header : {version1("192.0.2.1"), version2(0x21, {192, 0, 2, 1})}) {
    Client c = connect(kStranger, header);
    if (GetParam()) {
      EXPECT_FALSE(c.connected());
    } else {
      EXPECT_EQ(c.upgrade("/").status, 400);
    }
  }
  EXPECT_EQ(requests.size(), 0U);
}

TEST_P(ProxiedTest, EndsAConnectionWhoseHeaderIsMalformed) {
  serve();
  for (const std::string& header : {std::string("PROXY TCP4 192.0.2.1\r\n"), version1("nonsense"),
                                    version2(0x31, {192, 0, 2, 1}), version1("192.0.2.1").substr(0, 30) + "\n"}) {
    Client c(server.port(), {.from = kProxy, .first = header});
    EXPECT_EQ(c.read_reply().status, 0) << header;
  }
  EXPECT_EQ(log.count("proxy.header_malformed", std::string("address=") + kProxy), 4U);
  EXPECT_EQ(seen(kProxy, version1("192.0.2.1")), "192.0.2.1");
}

TEST_P(ProxiedTest, TakesOneHeaderOnly) {
  serve();
  Client c = connect(kProxy, version1("10.0.0.9") + version1("192.0.2.1"));
  if (GetParam()) {
    EXPECT_FALSE(c.connected());
  } else {
    EXPECT_EQ(c.upgrade("/").status, 400);
  }
}

TEST_P(ProxiedTest, FollowsTheFieldsOnlyWhereTheHeaderNamesATrustedProxy) {
  serve();
  EXPECT_EQ(seen(kProxy, version1("192.0.2.1"), by_x("198.51.100.7")), "192.0.2.1");
  EXPECT_EQ(seen(kProxy, version1("10.1.2.3"), by_x("198.51.100.7")), "198.51.100.7");
  EXPECT_EQ(seen(kProxy, "PROXY UNKNOWN\r\n", by_x("198.51.100.7")), "198.51.100.7");
}

TEST_P(ProxiedTest, SleepsWhileAHeaderIsIncomplete) {
  serve();
  std::vector<std::unique_ptr<Client>> clients;
  for (const std::string& part : {std::string("P"), version1("192.0.2.1").substr(0, 20), version2(0x21, {192, 0, 2, 1}).substr(0, 20)}) {
    clients.push_back(std::make_unique<Client>(server.port(), Client::Options{.from = kProxy, .first = part}));
  }
  std::this_thread::sleep_for(100ms);
  const auto before = io::test::process_cpu_time();
  std::this_thread::sleep_for(1s);
  EXPECT_LT(io::test::process_cpu_time() - before, 200ms);
  for (const auto& client : clients) {
    EXPECT_NE(client->hear().kind, Heard::Kind::kNothing) << "the handshake's deadline";
  }
}

TEST_P(ProxiedTest, EndsAConnectionThatEndsWithinItsHeader) {
  serve();
  for (const std::string& part : {std::string("P"), std::string("PROXY TCP4 "), std::string()}) {
    Client c(server.port(), {.from = kProxy, .first = part});
    std::this_thread::sleep_for(20ms);
    c.end();
    const auto begin = std::chrono::steady_clock::now();
    c.hear();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s) << part;
  }
}

// ---- Limits per address

TEST_P(ProxiedTest, TheProxysOwnAddressHasNoLimitOfPendingSockets) {
  serve();
  std::vector<std::unique_ptr<Client>> silent;
  for (int i = 0; i < 20; ++i) silent.push_back(std::make_unique<Client>(server.port(), Client::Options{.from = kProxy}));
  EXPECT_EQ(seen(kProxy, {}, by_x("192.0.2.1")), "192.0.2.1");
  for (const auto& client : silent) EXPECT_EQ(client->hear(0ms).kind, Heard::Kind::kNothing);
  for (int i = 0; i < 4; ++i) silent.push_back(std::make_unique<Client>(server.port(), Client::Options{.from = kStranger}));
  EXPECT_NE(silent[20]->hear(2s).kind, Heard::Kind::kNothing) << "anybody else's has";
}

TEST_P(ProxiedTest, TheHeadersAddressHasALimitOfPendingSockets) {
  serve();
  const auto silent = [&](const std::string& address) {
    return std::make_unique<Client>(server.port(), Client::Options{.from = kProxy, .first = version1(address)});
  };
  const auto other = silent("198.51.100.7");
  std::vector<std::unique_ptr<Client>> same;
  for (int i = 0; i < 5; ++i) {
    same.push_back(silent("192.0.2.1"));
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_NE(same[0]->hear(2s).kind, Heard::Kind::kNothing);
  EXPECT_NE(same[1]->hear(2s).kind, Heard::Kind::kNothing);
  EXPECT_EQ(same[2]->hear(0ms).kind, Heard::Kind::kNothing);
  EXPECT_EQ(other->hear(0ms).kind, Heard::Kind::kNothing);
}

TEST_P(ProxiedTest, TheFieldsAddressHasALimitOfPendingSockets) {
  serve();
  const auto waiting = [&](const std::string& address) {
    auto client = std::make_unique<Client>(server.port(), Client::Options{.tls = GetParam(), .from = kProxy});
    Fields fields = bearer("t");
    fields.emplace_back("X-Forwarded-For", address);
    client->send_upgrade("/slow", fields);
    std::this_thread::sleep_for(20ms);
    return client;
  };
  const auto other = waiting("198.51.100.7");
  std::vector<std::unique_ptr<Client>> same;
  for (int i = 0; i < 4; ++i) same.push_back(waiting("192.0.2.1"));
  EXPECT_EQ(same[0]->read_reply().status, 429);
  EXPECT_EQ(log.count("ws.refused"), 1U) << "nobody else";
  // Those that have gone count no longer.
  same.clear();
  EXPECT_EQ(seen(kProxy, {}, by_x("192.0.2.1")), "192.0.2.1");
}

TEST_P(ProxiedTest, RefusedCredentialsCountForTheClientAndNobodyBesideIt) {
  serve();
  const auto attempt = [&](const std::string& address, const std::string& credential) {
    Fields fields = bearer(credential);
    fields.emplace_back("X-Forwarded-For", address);
    return seen(kProxy, {}, fields, "/token");
  };
  // The limit is 3; what comes after it still gets a verification now and then.
  std::vector<std::string> answers;
  for (int i = 0; i < 12; ++i) answers.push_back(attempt("192.0.2.1", "wrong" + std::to_string(i)));
  EXPECT_EQ(std::vector(answers.begin(), answers.begin() + 3), std::vector<std::string>(3, "401"));
  EXPECT_NE(std::find(answers.begin() + 3, answers.end(), "429"), answers.end());
  EXPECT_EQ(attempt("198.51.100.7", "wrong"), "401");
  EXPECT_EQ(attempt("198.51.100.7", token()), "198.51.100.7");
}

}  // namespace
}  // namespace sallyport
