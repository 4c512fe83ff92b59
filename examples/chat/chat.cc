// Rooms: whoever may open /chat/ROOM hears everybody in it. Middleware, authorization and handlers together.
#include <sallyport/sallyport.h>

#include <iostream>

using namespace std::chrono_literals;
using namespace sallyport::literals;

int main(int argc, char** argv) {
  auto jwt = sallyport::jwt({.issuer = "https://id.example.com/",
                             .audience = {"chat"},
                             .algorithms = {"ES256"},
                             .keys = sallyport::jwks_file(argc > 1 ? argv[1] : "jwks.json")});
  sallyport::App app({.log = [](const sallyport::LogEvent& event) { std::cerr << event.name << '\n'; }});
  app.use(sallyport::access_log());
  app.use("/chat/*", [](sallyport::Request& request, sallyport::Next next) -> sallyport::awaitable<void> {
    // A look-up that takes time would be awaited here.
    request.locals("greeting", std::string("welcome to ") + std::string(request.param("room")));
    co_await next();
  });
  app.ws("/chat/:room", {
      .auth = {.verifier = jwt, .from = sallyport::header | sallyport::first_message, .timeout = 5s},
      .origins = sallyport::same_origin,
      .limits = {.message_bytes = 64_KiB, .send_queue_bytes = 1_MiB},
      .authorize = [](const sallyport::Principal& who, sallyport::Request&) { return who.has_scope("chat"); },
      .on_open = [](sallyport::Connection& c) {
        c.subscribe(c.param("room"));
        if (const auto* greeting = c.local<std::string>("greeting")) c.send(*greeting);
      },
      .on_message = [](sallyport::Connection& c, sallyport::Message m) { c.publish(c.param("room"), m); },
      .on_close = [](sallyport::Connection&, const sallyport::Close& why) { std::cerr << why.reason << '\n'; },
  });
  return app.run({.listen = {argc > 2 ? argv[2] : "127.0.0.1:8080"},
                  .on_listening = [](const std::string& url) { std::cout << url << std::endl; }});
}
