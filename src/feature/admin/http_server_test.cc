#include "feature/admin/http_server.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <thread>

#include "feature/admin/test_browser.h"
#include "feature/admin/test_control.h"
#include "io/context.h"

namespace sallyport::admin {
namespace {

using namespace std::chrono_literals;
using namespace test;

// Under limits of its own. Whoever asks here has no token and is answered 503: there is no file.
class HttpServerTest : public testing::Test {
 protected:
  ~HttpServerTest() override {
    work_.reset();
    context_.stop();
    if (thread_.joinable()) thread_.join();
    context_.destroy_waiting();
    server_.reset();
  }

  void serve(HttpLimits limits) {
    server_.emplace(context_, api_, log_, limits);
    const auto endpoint = server_->listen(*io::parse_endpoint("127.0.0.1:0"));
    ASSERT_TRUE(endpoint.has_value()) << endpoint.error();
    port_ = endpoint->port();
    thread_ = std::thread([this] { context_.run(); });
  }

  io::Context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context_.get_executor()};
  FakeControl control_;
  TokenFile token_{"/nonexistent/admin.token"};
  std::vector<std::string> hosts_;
  LogSink log_;
  Api api_{control_, token_, hosts_, log_};
  std::optional<HttpServer> server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST_F(HttpServerTest, ClosesAConnectionThatNeverFinishesItsHead) {
  serve({.head = 50ms});
  Browser silent(port_);
  EXPECT_TRUE(silent.ended());
  Browser slow(port_);
  slow.send("GET / HTTP/1.1\r\nHost: localhost\r\n");
  EXPECT_TRUE(slow.ended());
}

TEST_F(HttpServerTest, ClosesAConnectionThatAsksNothingMore) {
  serve({.head = 3000ms});
  Browser browser(port_);
  EXPECT_EQ(browser.ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200);
  EXPECT_TRUE(browser.ended());
}

TEST_F(HttpServerTest, RefusesAHeadOverItsOwnLimit) {
  serve({.head_bytes = 256});
  EXPECT_EQ(Browser(port_).ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200);
  EXPECT_EQ(Browser(port_)
                .ask("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(300, 'x') + "\r\n\r\n")
                .status,
            431);
}

TEST_F(HttpServerTest, LetsNobodyInWithoutATokenFile) {
  serve({});
  EXPECT_EQ(
      Browser(port_).ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \r\n\r\n").status,
      401);
  EXPECT_EQ(Browser(port_)
                .ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n")
                .status,
            503);
  EXPECT_TRUE(control_.asked().empty());
}

}  // namespace
}  // namespace sallyport::admin
