#include "main/demo.h"

#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "io/address.h"
#include "main/demo_token.h"
#include "main/embedded.h"
#include "main/logger.h"
#include "main/process.h"
#include "main/status.h"
#include "sallyport/sallyport.h"
#include "server/static_files.h"

namespace sallyport::main {
namespace {

using namespace std::chrono_literals;

constexpr const char* kContentSecurityPolicy = "default-src 'self'; connect-src 'self' ws: wss:";

void add_page(App& app) {
  for (const EmbeddedFile& file : demo_files()) {
    const std::string path = file.name == "index.html" ? "/" : "/" + std::string(file.name);
    app.get(path, [name = file.name, body = std::make_shared<const std::string>(file.bytes)](Request&) {
      Response response = server::page(body, name);
      response.fields.emplace_back("Content-Security-Policy", kContentSecurityPolicy);
      return response;
    });
  }
}

void add_token_endpoint(App& app, const std::shared_ptr<const DemoIssuer>& issuer) {
  app.get("/demo/token", [issuer](Request& request) {
    return issuer->answer(
        {.host = request.host(),
         .sec_fetch_site = request.header("Sec-Fetch-Site"),
         .kind = request.query("kind"),
         .name = request.query("name")},
        std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()));
  });
}

void add_sockets(App& app, const Verifier& verifier) {
  const Auth auth{
      .verifier = verifier, .from = header | subprotocol | first_message, .refresh_lead = 10s};
  app.hub("/chat/:room",
          {.auth = auth,
           .permit = {{.subscribe = true, .publish = true, .channel = "room/{param.room}"}}});
  app.ws("/echo", {.auth = auth, .on_message = [](Connection& connection, Message message) {
                     connection.send(message);
                   }});
}

}  // namespace

int demo(const DemoCommand& command) {
  const auto endpoint = io::parse_endpoint(command.listen);
  if (!endpoint) return complain(kUsage, "--listen " + endpoint.error());
  if (!endpoint->loopback()) {
    return complain(
        kUsage, "--listen " + command.listen +
                    " is not a loopback address; the demo gives tokens to everybody and stays on "
                    "this machine");
  }
  auto made = DemoIssuer::make();
  if (!made) return complain(kFailed, made.error());
  const auto issuer = std::make_shared<const DemoIssuer>(std::move(*made));
  const LogSink log = make_log({.level = LogLevel::kInfo, .format = config::LogFormat::kText});
  prepare_process(log);
  const HangupWatch hangups;  // there is nothing to read again
  StartFault fault;
  App app({.log = watch_faults(log, fault, false)});
  add_page(app);
  add_token_endpoint(app, issuer);
  add_sockets(app, issuer->verifier());
  return run_app(app,
                 {.listen = {command.listen},
                  .drain = 1s,
                  .on_listening =
                      [](const std::string& url) {
                        // "ws://..." of a plain listener: the page is at the same address over
                        // http.
                        complain(kDone, "the demo is ready; open http" + url.substr(2) + "/");
                      }},
                 log, fault, "add for example --listen 127.0.0.1:8081");
}

}  // namespace sallyport::main
