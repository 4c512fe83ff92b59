#include "io/http_client.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "io/test_descriptors.h"
#include "io/test_http_server.h"

namespace sallyport::io {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using test::http_answer;
using test::HttpAnswer;
using test::HttpQuestion;
using test::HttpServer;
using Result = std::expected<HttpReply, HttpFailure>;

HttpRequest get(const std::string& url) { return {.url = *HttpUrl::parse(url)}; }

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

class HttpClientTest : public ::testing::Test {
 protected:
  // An answer comes into the slot that is returned, while the context runs.
  std::shared_ptr<std::optional<Result>> begin(HttpRequest request) {
    auto slot = std::make_shared<std::optional<Result>>();
    asio::co_spawn(
        context,
        [](HttpClient& asked, HttpRequest what, std::shared_ptr<std::optional<Result>> out) -> asio::awaitable<void> {
          *out = co_await asked.send(std::move(what));
        }(*client, std::move(request), slot),
        asio::detached);
    return slot;
  }
  void run() {
    context.restart();
    context.run();
  }
  Result ask(HttpRequest request) {
    const auto slot = begin(std::move(request));
    run();
    return std::move(**slot);
  }
  Result ask(const HttpServer& server, std::string_view target = "/") { return ask(get(server.url(target))); }
  void use(HttpClientOptions options) { client = std::make_unique<HttpClient>(context, options); }

  asio::io_context context{1};
  std::unique_ptr<HttpClient> client = std::make_unique<HttpClient>(context, HttpClientOptions{});
};

TEST_F(HttpClientTest, AsksAndHasStatusFieldsAndBody) {
  HttpServer server([](const HttpQuestion& question) {
    return http_answer(201, question.method + " " + question.target, "X-Kind:  some thing \r\nx-kind: other\r\n");
  });
  const auto reply = ask(server, "/a?b=c");
  ASSERT_TRUE(reply) << reply.error().detail;
  EXPECT_EQ(reply->status, 201U);
  EXPECT_EQ(reply->body, "GET /a?b=c");
  EXPECT_EQ(reply->field("x-kind"), "some thing");
  EXPECT_EQ(reply->field("x-other"), "");
}

TEST_F(HttpClientTest, SendsWhatItWasGivenAndTheFieldsThatHttpNeeds) {
  std::vector<HttpQuestion> asked;
  HttpServer server([&](const HttpQuestion& question) {
    asked.push_back(question);
    return http_answer(200, "");
  });
  HttpRequest post{.method = "POST", .url = *HttpUrl::parse(server.url("/introspect"))};
  post.fields.emplace_back("Authorization", base::Secret("Basic abc"));
  post.body = base::Secret("token=t%20t");
  ASSERT_TRUE(ask(std::move(post)));
  HttpRequest empty{.method = "POST", .url = *HttpUrl::parse(server.url("/"))};
  ASSERT_TRUE(ask(std::move(empty)));
  ASSERT_TRUE(ask(server));
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_EQ(asked[0].method, "POST");
  EXPECT_EQ(asked[0].body, "token=t%20t");
  EXPECT_EQ(asked[0].field("Authorization"), "Basic abc");
  EXPECT_EQ(asked[0].field("Content-Length"), "11");
  EXPECT_EQ(asked[0].field("Host"), "127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(asked[1].field("Content-Length"), "0");
  EXPECT_EQ(asked[2].field("Content-Length"), "");
}

TEST_F(HttpClientTest, SendsNothingThatCouldBeTwoRequests) {
  HttpServer server([](const HttpQuestion&) { return http_answer(200, ""); });
  const HttpUrl url = *HttpUrl::parse(server.url("/"));
  std::vector<HttpRequest> bad;
  bad.push_back({.method = "GET /x HTTP/1.1\r\nX:", .url = url});
  bad.push_back({.method = "", .url = url});
  for (const char* const target : {"", "x", "*", "/a b", "/a\r\nX: y", "/#a"}) {
    bad.push_back({.url = url});
    bad.back().url.target = target;
  }
  for (const auto& [name, value] : {std::pair("X", "a\r\nY: b"), std::pair("X", "a\nb"), std::pair("X: y\r\nZ", "a"),
                                    std::pair("", "a"), std::pair("X Y", "a")}) {
    bad.push_back({.url = url});
    bad.back().fields.emplace_back(name, base::Secret(value));
  }
  bad.push_back({.url = url});
  bad.back().fields.emplace_back("X", base::Secret(std::string_view("a\0b", 3)));
  bad.push_back({.url = url});
  bad.back().url.host = "10.1.2.3";  // plain text, not on loopback
  bad.push_back({.url = url});
  bad.back().url.host = "evil\r\nX: y";
  bad.back().url.tls = true;
  for (std::size_t i = 0; i < bad.size(); ++i) {
    const auto reply = ask(std::move(bad[i]));
    ASSERT_FALSE(reply) << i;
    EXPECT_EQ(reply.error().code, HttpError::kBadRequest) << i;
  }
  EXPECT_EQ(server.connections(), 0U);
}

TEST_F(HttpClientTest, KeepsAConnectionForTheNextQuestion) {
  HttpServer server([](const HttpQuestion&) { return http_answer(200, "x"); });
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(ask(server));
  EXPECT_EQ(server.connections(), 1U);
  EXPECT_EQ(server.questions(), 5U);
}

TEST_F(HttpClientTest, KeepsNoConnectionIfItIsToldNotTo) {
  std::string connection;
  HttpServer server([&](const HttpQuestion& question) {
    connection = question.field("Connection");
    return http_answer(200, "x");
  });
  use({.idle = 0ms});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(ask(server));
  EXPECT_EQ(server.connections(), 3U);
  EXPECT_EQ(connection, "close");
  EXPECT_TRUE(eventually([&] { return server.open() == 0; }));
}

TEST_F(HttpClientTest, KeepsNoConnectionForLongerThanItMay) {
  HttpServer server([](const HttpQuestion&) { return http_answer(200, "x"); });
  use({.idle = 50ms});
  ASSERT_TRUE(ask(server));
  std::this_thread::sleep_for(80ms);
  ASSERT_TRUE(ask(server));
  EXPECT_EQ(server.connections(), 2U);
  EXPECT_TRUE(eventually([&] { return server.open() == 1; }));
}

TEST_F(HttpClientTest, KeepsNoConnectionThatTheServerWantsToEnd) {
  HttpServer server([](const HttpQuestion&) { return http_answer(200, "x", "Connection: close\r\n"); });
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(ask(server));
  EXPECT_EQ(server.connections(), 3U);
}

TEST_F(HttpClientTest, KeepsNoConnectionOnWhichMoreCameThanWasAsked) {
  HttpServer server([](const HttpQuestion& question) {
    HttpAnswer answer = http_answer(200, std::to_string(question.connection));
    answer.bytes += http_answer(200, "smuggled").bytes;
    return answer;
  });
  for (int i = 1; i <= 3; ++i) {
    const auto reply = ask(server);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->body, std::to_string(i));
  }
}

TEST_F(HttpClientTest, ReplacesAConnectionThatWasClosedWhileIdle) {
  HttpServer server([](const HttpQuestion&) {
    HttpAnswer answer = http_answer(200, "x");
    answer.close = true;
    return answer;
  });
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(ask(server)) << i;
    ASSERT_TRUE(eventually([&] { return server.open() == 0; }));
  }
  EXPECT_EQ(server.connections(), 5U);
  EXPECT_EQ(server.questions(), 5U);  // none was lost on a dead connection
}

// Between the look whether it is closed and the question it may still be closed.
TEST_F(HttpClientTest, AsksOnceMoreOnlyIfAKeptConnectionEndsWithoutAnyReply) {
  HttpServer server([](const HttpQuestion& question) {
    if (question.connection == 1 && question.target == "/second") return HttpAnswer{.bytes = "", .close = true};
    return http_answer(200, "from " + std::to_string(question.connection));
  });
  ASSERT_TRUE(ask(server, "/first"));
  const auto reply = ask(server, "/second");
  ASSERT_TRUE(reply) << reply.error().detail;
  EXPECT_EQ(reply->body, "from 2");
  EXPECT_EQ(server.questions(), 3U);
}

TEST_F(HttpClientTest, DoesNotAskOnceMoreOnAFreshConnectionOrAfterPartOfAReply) {
  HttpServer server([](const HttpQuestion& question) {
    if (question.target == "/nothing") return HttpAnswer{.bytes = "", .close = true};
    if (question.target == "/half") return HttpAnswer{.bytes = "HTTP/1.1 200 OK\r\nContent-Le", .close = true};
    return http_answer(200, "");
  });
  auto reply = ask(server, "/nothing");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, HttpError::kBadReply);
  EXPECT_EQ(server.questions(), 1U);
  ASSERT_TRUE(ask(server, "/"));
  reply = ask(server, "/half");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, HttpError::kBadReply);
  EXPECT_EQ(server.questions(), 3U);
}

TEST_F(HttpClientTest, ReadsChunkedReplies) {
  HttpServer server([](const HttpQuestion&) {
    return HttpAnswer{.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "5;note=x\r\nhello\r\n1\r\n \r\nA\r\nwide world\r\n0\r\nX-Trailer: y\r\n\r\n",
                      .drip = 1ms};
  });
  for (int i = 0; i < 2; ++i) {
    const auto reply = ask(server);
    ASSERT_TRUE(reply) << reply.error().detail;
    EXPECT_EQ(reply->body, "hello wide world");
  }
  EXPECT_EQ(server.connections(), 1U);
}

TEST_F(HttpClientTest, ReadsToTheEndWithoutALength) {
  HttpServer server([](const HttpQuestion&) {
    return HttpAnswer{.bytes = "HTTP/1.1 200 OK\r\n\r\nall of it", .close = true};
  });
  const auto reply = ask(server);
  ASSERT_TRUE(reply) << reply.error().detail;
  EXPECT_EQ(reply->body, "all of it");
}

TEST_F(HttpClientTest, PassesInterimRepliesOver) {
  HttpServer server([](const HttpQuestion& question) {
    std::string interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    if (question.target == "/many") interim += interim + interim + interim + interim;
    HttpAnswer answer = http_answer(200, "x");
    if (question.target == "/protocol") answer.bytes = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n";
    answer.bytes = interim + answer.bytes;
    return answer;
  });
  const auto reply = ask(server);
  ASSERT_TRUE(reply) << reply.error().detail;
  EXPECT_EQ(reply->status, 200U);
  for (const char* const target : {"/many", "/protocol"}) {
    const auto refused = ask(server, target);
    ASSERT_FALSE(refused) << target;
    EXPECT_EQ(refused.error().code, HttpError::kBadReply) << target;
  }
}

TEST_F(HttpClientTest, HandsRedirectsOutLikeOtherReplies) {
  HttpServer server([](const HttpQuestion&) { return http_answer(302, "", "Location: http://127.0.0.1:1/\r\n"); });
  const auto reply = ask(server);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 302U);
  EXPECT_EQ(server.questions(), 1U);
}

TEST_F(HttpClientTest, ReadsNoBodyAfterHeadAnd204) {
  HttpServer server([](const HttpQuestion& question) {
    if (question.method == "HEAD") return HttpAnswer{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"};
    return HttpAnswer{.bytes = "HTTP/1.1 204 No Content\r\n\r\n"};
  });
  HttpRequest head = get(server.url("/"));
  head.method = "HEAD";
  const auto reply = ask(std::move(head));
  ASSERT_TRUE(reply) << reply.error().detail;
  EXPECT_EQ(reply->body, "");
  ASSERT_TRUE(ask(server));
  EXPECT_EQ(server.connections(), 1U);
}

TEST_F(HttpClientTest, RefusesABodyOverItsLimitHoweverItComes) {
  use({.body_bytes = 1000});
  HttpServer server([](const HttpQuestion& question) {
    const std::string body(question.target.ends_with("1000") ? 1000 : 1001, 'x');
    if (question.target.starts_with("/length")) return http_answer(200, body);
    if (question.target.starts_with("/lie")) {
      return HttpAnswer{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n"};
    }
    if (question.target.starts_with("/end")) {
      return HttpAnswer{.bytes = "HTTP/1.1 200 OK\r\n\r\n" + body, .close = true};
    }
    std::string chunks;
    for (const char c : body) chunks += std::string("1\r\n") + c + "\r\n";
    return HttpAnswer{.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n"};
  });
  for (const std::string kind : {"/length", "/end", "/chunks"}) {
    const auto fits = ask(server, kind + "1000");
    ASSERT_TRUE(fits) << kind << fits.error().detail;
    EXPECT_EQ(fits->body.size(), 1000U);
    const auto reply = ask(server, kind + "1001");
    ASSERT_FALSE(reply) << kind;
    EXPECT_EQ(reply.error().code, HttpError::kTooLarge) << kind << reply.error().detail;
  }
  const auto reply = ask(server, "/lie");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, HttpError::kTooLarge) << reply.error().detail;
}

TEST_F(HttpClientTest, RefusesAHeadWithoutEnd) {
  HttpServer server([](const HttpQuestion& question) {
    const std::string filler(40'000, 'x');
    if (question.target == "/line") return HttpAnswer{.bytes = "HTTP/1.1 200 OK\r\nX: " + filler};
    if (question.target == "/chunk") {
      return HttpAnswer{.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + filler + filler};
    }
    std::string fields;
    for (int i = 0; i < 4000; ++i) fields += "X: yyyy\r\n";
    return HttpAnswer{.bytes = "HTTP/1.1 200 OK\r\n" + fields};
  });
  for (const char* const target : {"/line", "/fields", "/chunk"}) {
    const auto reply = ask(server, target);
    ASSERT_FALSE(reply) << target;
    EXPECT_EQ(reply.error().code, HttpError::kTooLarge) << target << reply.error().detail;
  }
}

TEST_F(HttpClientTest, RefusesWhatIsNotHttpOrIsCutShort) {
  const std::string cases[] = {
      "SSH-2.0-OpenSSH_9.2\r\n",
      "<html>hello</html>\r\n\r\n",
      "HTTP/2.0 200 OK\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
      std::string("\0\0\0\0", 4),
      "",
  };
  std::atomic<std::size_t> which = 0;
  HttpServer server([&](const HttpQuestion&) { return HttpAnswer{.bytes = cases[which], .close = true}; });
  for (; which < std::size(cases); ++which) {
    const auto reply = ask(server);
    ASSERT_FALSE(reply) << cases[which];
    EXPECT_EQ(reply.error().code, HttpError::kBadReply) << cases[which] << reply.error().detail;
    EXPECT_EQ(reply.error().detail.find("hello"), std::string::npos);
  }
}

TEST_F(HttpClientTest, EndsAtItsDeadlineWhateverTheServerDoes) {
  use({.timeout = 200ms, .connections = 4});
  HttpServer server([](const HttpQuestion& question) {
    HttpAnswer answer = http_answer(200, std::string(2000, 'x'));
    if (question.target == "/silent") answer.delay = 1h;
    if (question.target == "/drip") answer.drip = 5ms;
    return answer;
  });
  for (const char* const target : {"/silent", "/drip"}) {
    const auto begin = std::chrono::steady_clock::now();
    const auto reply = ask(server, target);
    const auto took = std::chrono::steady_clock::now() - begin;
    ASSERT_FALSE(reply) << target;
    EXPECT_EQ(reply.error().code, HttpError::kTimeout) << target << reply.error().detail;
    EXPECT_GE(took, 190ms) << target;
    EXPECT_LT(took, 2s) << target;
  }
  EXPECT_TRUE(ask(server));  // and is none the worse for it
}

TEST_F(HttpClientTest, CountsWaitingForAConnectionIntoTheDeadline) {
  use({.timeout = 300ms, .connections = 1});
  HttpServer server([](const HttpQuestion&) {
    HttpAnswer answer = http_answer(200, "");
    answer.delay = 200ms;
    return answer;
  });
  const auto first = begin(get(server.url("/")));
  const auto second = begin(get(server.url("/")));
  const auto third = begin(get(server.url("/")));
  const auto start = std::chrono::steady_clock::now();
  run();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1s);
  EXPECT_TRUE(**first);
  ASSERT_FALSE(**second);
  EXPECT_EQ((*second)->error().code, HttpError::kTimeout);
  ASSERT_FALSE(**third);
  EXPECT_EQ((*third)->error().code, HttpError::kTimeout);
}

TEST_F(HttpClientTest, OpensNoMoreConnectionsThanAllowedAndServesAllWhoWait) {
  use({.connections = 3});
  HttpServer server([](const HttpQuestion&) {
    HttpAnswer answer = http_answer(200, "x");
    answer.delay = 5ms;
    return answer;
  });
  std::vector<std::shared_ptr<std::optional<Result>>> slots;
  for (int i = 0; i < 60; ++i) slots.push_back(begin(get(server.url("/"))));
  run();
  for (const auto& slot : slots) EXPECT_TRUE(**slot);
  EXPECT_EQ(server.connections(), 3U);
}

TEST_F(HttpClientTest, RefusesToLetMoreWaitThanAllowed) {
  use({.connections = 1, .waiting = 2});
  HttpServer server([](const HttpQuestion&) {
    HttpAnswer answer = http_answer(200, "x");
    answer.delay = 20ms;
    return answer;
  });
  std::vector<std::shared_ptr<std::optional<Result>>> slots;
  for (int i = 0; i < 6; ++i) slots.push_back(begin(get(server.url("/"))));
  run();
  int served = 0;
  for (const auto& slot : slots) {
    if (**slot) {
      ++served;
    } else {
      EXPECT_EQ((*slot)->error().code, HttpError::kBusy);
    }
  }
  EXPECT_EQ(served, 3);
}

TEST_F(HttpClientTest, ClosesAnIdleConnectionToMakeRoomForAnotherServer) {
  use({.connections = 1});
  const auto respond = [](const HttpQuestion&) { return http_answer(200, "x"); };
  HttpServer first(respond);
  HttpServer second(respond);
  ASSERT_TRUE(ask(first));
  ASSERT_TRUE(ask(second));
  EXPECT_TRUE(eventually([&] { return first.open() == 0; }));
  EXPECT_EQ(second.open(), 1U);
}

TEST_F(HttpClientTest, SaysThatNobodyListens) {
  const auto reply = ask(get("http://127.0.0.1:" + std::to_string(test::free_port()) + "/"));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, HttpError::kConnect);
  EXPECT_NE(reply.error().detail.find("127.0.0.1"), std::string::npos);
}

TEST_F(HttpClientTest, SaysThatAHostHasNoAddress) {
  const auto reply = ask(get("https://host.invalid/"));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, HttpError::kResolve) << reply.error().detail;
}

TEST_F(HttpClientTest, TriesTheOtherAddressOfLocalhost) {
  HttpServer server([](const HttpQuestion&) { return http_answer(200, "x"); });
  EXPECT_TRUE(ask(get("http://localhost:" + std::to_string(server.port()) + "/")));
}

TEST_F(HttpClientTest, CutsOffWhatItsCallerGivesUp) {
  HttpServer server([](const HttpQuestion&) {
    HttpAnswer answer = http_answer(200, "x");
    answer.delay = 1h;
    return answer;
  });
  asio::cancellation_signal cancel;
  std::exception_ptr thrown;
  asio::co_spawn(
      context,
      [](HttpClient& asked, HttpRequest what) -> asio::awaitable<void> {
        (void)co_await asked.send(std::move(what));
      }(*client, get(server.url("/"))),
      asio::bind_cancellation_slot(cancel.slot(), [&](const std::exception_ptr& error) { thrown = error; }));
  asio::steady_timer timer(context, 100ms);
  timer.async_wait([&](const boost::system::error_code&) { cancel.emit(asio::cancellation_type::terminal); });
  const auto begin = std::chrono::steady_clock::now();
  run();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
  EXPECT_TRUE(thrown != nullptr);
  EXPECT_EQ(server.questions(), 1U);
}

TEST_F(HttpClientTest, EndsEverybodyWhenItGoes) {
  use({.connections = 1});
  HttpServer server([](const HttpQuestion&) {
    HttpAnswer answer = http_answer(200, "x");
    answer.delay = 1h;
    return answer;
  });
  const auto asked = begin(get(server.url("/")));
  const auto waiting = begin(get(server.url("/")));
  asio::steady_timer timer(context, 100ms);
  timer.async_wait([&](const boost::system::error_code&) { client.reset(); });
  const auto begin = std::chrono::steady_clock::now();
  run();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
  for (const auto& slot : {asked, waiting}) {
    ASSERT_FALSE(**slot);
    EXPECT_EQ((*slot)->error().code, HttpError::kConnect);
  }
}

TEST(HttpClientEnd, LeavesNothingBehindWhenItsContextEndsInTheMiddle) {
  HttpServer server([](const HttpQuestion&) {
    HttpAnswer answer = http_answer(200, std::string(10'000, 'x'));
    answer.drip = 10ms;  // and so notices when nobody listens any more
    return answer;
  });
  const std::size_t before = test::open_descriptors();
  for (const bool client_first : {true, false}) {
    auto context = std::make_unique<asio::io_context>(1);
    auto client = std::make_unique<HttpClient>(*context, HttpClientOptions{.connections = 2});
    for (int i = 0; i < 4; ++i) {
      asio::co_spawn(
          *context,
          [](HttpClient& asked, HttpRequest what) -> asio::awaitable<void> {
            (void)co_await asked.send(std::move(what));
          }(*client, get(server.url("/"))),
          asio::detached);
    }
    context->run_for(50ms);
    if (client_first) client.reset();
    context.reset();
    client.reset();
  }
  EXPECT_TRUE(eventually([&] { return server.open() == 0; }));
  // The server's own end of a socket closes a moment after it no longer counts it.
  EXPECT_TRUE(eventually([&] { return test::open_descriptors() == before; }));
}

// ---- TLS

class HttpClientTlsTest : public HttpClientTest {
 protected:
  // The store is what the environment names, read when the client first needs it.
  void trust(const test::Certificate& certificate) {
    ::setenv("SSL_CERT_FILE", folder.write("trusted.pem", certificate.certificate_pem).c_str(), 1);
  }
  void SetUp() override {
    if (const char* const before = ::getenv("SSL_CERT_FILE")) file_before = before;
  }
  void TearDown() override {
    if (file_before) {
      ::setenv("SSL_CERT_FILE", file_before->c_str(), 1);
    } else {
      ::unsetenv("SSL_CERT_FILE");
    }
  }
  static std::string url(const HttpServer& server, const std::string& host) {
    return "https://" + host + ":" + std::to_string(server.port()) + "/";
  }

  test::TempFolder folder;
  std::optional<std::string> file_before;
};

HttpAnswer answer_x(const HttpQuestion&) { return http_answer(200, "x"); }

TEST_F(HttpClientTlsTest, AsksAServerWhoseCertificateIsTrustedAndKeepsTheConnection) {
  const auto certificate = test::make_certificate_for("DNS:localhost");
  trust(certificate);
  HttpServer server(answer_x, &certificate);
  for (int i = 0; i < 3; ++i) {
    const auto reply = ask(get(url(server, "localhost")));
    ASSERT_TRUE(reply) << reply.error().detail;
    EXPECT_EQ(reply->body, "x");
  }
  EXPECT_EQ(server.connections(), 1U);
}

TEST_F(HttpClientTlsTest, ComparesAnAddressWithTheAddressesOfTheCertificate) {
  const auto by_address = test::make_certificate_for("IP:127.0.0.1");
  trust(by_address);
  HttpServer server(answer_x, &by_address);
  EXPECT_TRUE(ask(get(url(server, "127.0.0.1"))));
  const auto by_name = ask(get(url(server, "localhost")));
  ASSERT_FALSE(by_name);
  EXPECT_EQ(by_name.error().code, HttpError::kTls);
}

TEST_F(HttpClientTlsTest, RefusesACertificateOfAnotherHost) {
  for (const char* const names : {"DNS:other.example.com", "DNS:*.localhost", "IP:127.0.0.2", "DNS:127.0.0.1"}) {
    const auto certificate = test::make_certificate_for(names);
    trust(certificate);
    use({});
    HttpServer server(answer_x, &certificate);
    for (const char* const host : {"localhost", "127.0.0.1"}) {
      const auto reply = ask(get(url(server, host)));
      ASSERT_FALSE(reply) << names << " " << host;
      EXPECT_EQ(reply.error().code, HttpError::kTls) << names << host;
      EXPECT_NE(reply.error().detail.find("mismatch"), std::string::npos) << reply.error().detail;
    }
    EXPECT_EQ(server.questions(), 0U);
  }
}

TEST_F(HttpClientTlsTest, RefusesACertificateThatNobodyVouchesFor) {
  const auto certificate = test::make_certificate_for("DNS:localhost");
  trust(test::make_certificate_for("DNS:localhost"));
  HttpServer server(answer_x, &certificate);
  const auto reply = ask(get(url(server, "localhost")));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, HttpError::kTls);
  EXPECT_NE(reply.error().detail.find("certificate"), std::string::npos) << reply.error().detail;
  EXPECT_EQ(server.questions(), 0U);
}

TEST_F(HttpClientTlsTest, RefusesAServerThatDoesNotSpeakTls) {
  HttpServer server(answer_x);
  use({.timeout = 500ms});
  const auto reply = ask(get(url(server, "localhost")));
  ASSERT_FALSE(reply);
  EXPECT_TRUE(reply.error().code == HttpError::kTls || reply.error().code == HttpError::kTimeout)
      << reply.error().detail;
}

TEST_F(HttpClientTlsTest, DoesNotTakeAnEndThatAnybodyCanForgeForTheEndOfABody) {
  const auto certificate = test::make_certificate_for("DNS:localhost");
  trust(certificate);
  bool notify = true;
  HttpServer server(
      [&](const HttpQuestion&) {
        return HttpAnswer{.bytes = "HTTP/1.1 200 OK\r\n\r\nall of it", .close = true, .notify = notify};
      },
      &certificate);
  const auto whole = ask(get(url(server, "localhost")));
  ASSERT_TRUE(whole) << whole.error().detail;
  EXPECT_EQ(whole->body, "all of it");
  notify = false;
  const auto cut = ask(get(url(server, "localhost")));
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, HttpError::kBadReply) << cut.error().detail;
}

TEST_F(HttpClientTlsTest, ReplacesAConnectionThatWasClosedWhileIdle) {
  const auto certificate = test::make_certificate_for("DNS:localhost");
  trust(certificate);
  bool notify = true;
  HttpServer server(
      [&](const HttpQuestion&) {
        HttpAnswer answer = http_answer(200, "x");
        answer.close = true;
        answer.notify = notify;
        return answer;
      },
      &certificate);
  for (int i = 0; i < 4; ++i) {
    notify = i % 2 == 0;
    const auto reply = ask(get(url(server, "localhost")));
    ASSERT_TRUE(reply) << reply.error().detail;
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_EQ(server.questions(), 4U);
}

}  // namespace
}  // namespace sallyport::io
