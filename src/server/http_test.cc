// Plain routes: pages and files.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "io/test_certificate.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;
using namespace server::test;

class HttpTest : public ::testing::TestWithParam<bool> {
 protected:
  HttpTest() : server(GetParam() ? AppOptions{.tls = localhost_tls(), .log = log.sink()}
                                 : AppOptions{.log = log.sink()}) {}
  Reply get(const std::string& target, const Fields& fields = {}) { return request("GET", target, fields); }
  Reply request(const std::string& method, const std::string& target, const Fields& fields = {}) {
    Client c(server.port(), {.tls = GetParam()});
    const Reply reply = c.request(method, target, fields);
    EXPECT_EQ(c.hear().kind, Heard::Kind::kEnd);
    return reply;
  }

  Log log;
  Server server;
};

INSTANTIATE_TEST_SUITE_P(Transports, HttpTest, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "Tls" : "Plain"; });

TEST_P(HttpTest, AnswersWithWhatTheHandlerSays) {
  server.app.get("/page/:name", [](Request& request) {
    return Response{.status = 203,
                    .body = std::string(request.param("name")) + " " + request.query("q").value_or("none"),
                    .content_type = "text/html",
                    .fields = {{"X-Thing", "thing"}}};
  });
  server.start();
  const Reply reply = get("/page/a%20b?q=%26");
  EXPECT_EQ(reply.status, 203);
  EXPECT_EQ(reply.body, "a b &");
  EXPECT_EQ(reply.field("Content-Type"), "text/html");
  EXPECT_EQ(reply.field("X-Thing"), "thing");
  EXPECT_EQ(reply.field("Content-Length"), "5");
  EXPECT_EQ(get("/page").status, 404);
  EXPECT_EQ(get("/page/a/b").status, 404);
}

TEST_P(HttpTest, AnswersHeadWithoutABody) {
  server.app.get("/", [](Request&) { return Response{.body = "hello"}; });
  server.start();
  const Reply reply = request("HEAD", "/");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("Content-Length"), "5");
}

TEST_P(HttpTest, AnswersLater) {
  server.app.get_async("/", [](Request& request) -> awaitable<Response> {
    const std::string name(request.query("name").value_or("nobody"));
    co_await pause_for(50ms);
    if (name == "throw") throw std::runtime_error("boom");
    co_return Response{.body = name + " " + std::string(request.path())};
  });
  server.start();
  EXPECT_EQ(get("/?name=ada").body, "ada /");
  EXPECT_EQ(get("/?name=throw").status, 500);
}

TEST_P(HttpTest, AnswersALargePageWhole) {
  const std::string page(3'000'000, 'x');
  server.app.get("/", [&](Request&) { return Response{.body = page}; });
  server.start();
  EXPECT_TRUE(get("/").body == page);
}

TEST_P(HttpTest, RefusesOtherMethodsAndBodies) {
  server.app.get("/", [](Request&) { return Response{}; });
  server.start();
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    EXPECT_EQ(request(method, "/").status, 400) << method;
  }
  EXPECT_EQ(request("GET", "/", {{"Content-Length", "3"}}).status, 400);
}

TEST_P(HttpTest, AnswersOurFaultWhenAHandlerThrowsOrSaysWhatHttpForbids) {
  server.app.get("/throw", [](Request&) -> Response { throw std::runtime_error("secret detail"); });
  server.app.get("/odd", [](Request&) -> Response { throw 42; });
  server.app.get("/split", [](Request&) { return Response{.fields = {{"X", "a\r\nSet-Cookie: b"}}}; });
  server.app.get("/name", [](Request&) { return Response{.fields = {{"X Y", "a"}}}; });
  server.app.get("/status", [](Request&) { return Response{.status = 42}; });
  server.start();
  for (const char* path : {"/throw", "/odd", "/split", "/name", "/status"}) {
    const Reply reply = get(path);
    EXPECT_EQ(reply.status, 500) << path;
    EXPECT_EQ(reply.field("Set-Cookie"), "");
    EXPECT_EQ(reply.body.find("secret"), std::string::npos);
  }
}

TEST_P(HttpTest, HandsNoCredentialToAPage) {
  server.app.get("/", [](Request& request) {
    EXPECT_FALSE(request.header("authorization"));
    return Response{.body = std::string(request.target())};
  });
  server.start();
  EXPECT_EQ(get("/?ticket=abc", bearer("secret")).body.find("abc"), std::string::npos);
}

TEST_P(HttpTest, TellsAPlainRequestOnAWebSocketRouteToUpgrade) {
  server.app.ws("/socket", {.auth = {.verifier = secret_verifier(), .from = header}});
  server.app.ws("/both", {.auth = {.verifier = secret_verifier(), .from = header}});
  server.app.get("/both", [](Request&) { return Response{.body = "a page"}; });
  server.app.get("/page", [](Request&) { return Response{}; });
  server.start();
  const Reply reply = get("/socket");
  EXPECT_EQ(reply.status, 426);
  EXPECT_EQ(reply.field("Sec-WebSocket-Version"), "13");
  EXPECT_EQ(get("/both").body, "a page");
  for (const auto& [path, status] : {std::pair{"/both", 101}, std::pair{"/page", 404}}) {
    Client c(server.port(), {.tls = GetParam()});
    EXPECT_EQ(c.upgrade(path, bearer(token())).status, status) << path;
  }
}

// ---- Files

class FilesTest : public HttpTest {
 protected:
  FilesTest() {
    outside.write("secret.txt", "secret");
    folder.write("index.html", "<h1>home</h1>");
    folder.write("style.css", "body {}");
    folder.write("app.js", "1");
    folder.write("data.bin", std::string("\0\1\2", 3));
    folder.write("a b.txt", "spaced");
    folder.write("deep/er/page.html", "deep");
    folder.write("deep/index.html", "deep index");
    folder.write("empty/x.txt", "x");
    folder.write(".hidden", "secret");
    folder.write(".git/config", "secret");
    folder.write("deep/.env", "secret");
    fs::create_symlink(outside.path() + "/secret.txt", folder.path() + "/link.txt");
    fs::create_directory_symlink(outside.path(), folder.path() + "/linked");
    fs::create_symlink("style.css", folder.path() + "/alias.css");
    server.app.files("/static/*", folder.path());
    server.start();
  }
  io::test::TempFolder outside;
  io::test::TempFolder folder;
};

INSTANTIATE_TEST_SUITE_P(Transports, FilesTest, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "Tls" : "Plain"; });

TEST_P(FilesTest, ServesFilesWithTheirTypes) {
  const struct {
    const char* path;
    const char* body;
    const char* type;
  } cases[] = {
      {"/static/index.html", "<h1>home</h1>", "text/html; charset=utf-8"},
      {"/static/style.css", "body {}", "text/css; charset=utf-8"},
      {"/static/app.js", "1", "text/javascript; charset=utf-8"},
      {"/static/a%20b.txt", "spaced", "text/plain; charset=utf-8"},
      {"/static/deep/er/page.html", "deep", "text/html; charset=utf-8"},
      {"/static/deep", "deep index", "text/html; charset=utf-8"},
      {"/static/alias.css", "body {}", "text/css; charset=utf-8"},
  };
  for (const auto& c : cases) {
    const Reply reply = get(c.path);
    EXPECT_EQ(reply.status, 200) << c.path;
    EXPECT_EQ(reply.body, c.body) << c.path;
    EXPECT_EQ(reply.field("Content-Type"), c.type) << c.path;
    EXPECT_EQ(reply.field("X-Content-Type-Options"), "nosniff");
  }
  EXPECT_EQ(get("/static/data.bin").body, std::string("\0\1\2", 3));
  EXPECT_EQ(get("/static/data.bin").field("Content-Type"), "application/octet-stream");
}

TEST_P(FilesTest, ServesNothingHiddenLinkedAwayOrOutside) {
  const std::string name = fs::path(outside.path()).filename().string();
  for (const std::string& rest :
       {std::string(".hidden"), std::string(".git/config"), std::string("deep/.env"), std::string("%2ehidden"),
        std::string("deep/%2Eenv"), std::string("link.txt"), std::string("linked/secret.txt"),
        std::string("linked"), "../" + name + "/secret.txt", "%2e%2e/" + name + "/secret.txt",
        "..%2f" + name + "/secret.txt", "deep/../../" + name + "/secret.txt",
        "deep/..%2F..%2F" + name + "%2Fsecret.txt", "/" + outside.path() + "/secret.txt",
        "%2f" + outside.path() + "/secret.txt", std::string("index.html%00.txt"), std::string("nothing.html"),
        std::string("empty"), std::string("empty/"), std::string("index.html/"), std::string("index.html/x"),
        std::string(5000, 'x')}) {
    const Reply reply = get("/static/" + rest);
    EXPECT_TRUE(reply.status == 404 || reply.status == 400) << rest << " " << reply.status;
    EXPECT_EQ(reply.body.find("secret\n"), std::string::npos) << rest;
    EXPECT_NE(reply.body, "secret") << rest;
  }
}

TEST(Files, RefusesAFolderThatIsNotThere) {
  App app;
  EXPECT_THROW(app.files("/*", "/no/such/folder"), std::invalid_argument);
}

}  // namespace
}  // namespace sallyport
