// The README's first program: an echo that only bearers of a valid token with the scope "chat" can open.
#include <sallyport/sallyport.h>

#include <iostream>

int main(int argc, char** argv) {
  auto jwt = sallyport::jwt({.issuer = "https://id.example.com/",
                             .audience = {"chat"},
                             .algorithms = {"ES256"},
                             .keys = sallyport::jwks_file(argc > 1 ? argv[1] : "jwks.json")});
  sallyport::App app;
  app.ws("/echo", {
      .auth = {.verifier = jwt, .from = sallyport::header | sallyport::first_message},
      .authorize = [](const sallyport::Principal& who, sallyport::Request&) {
        return who.has_scope("chat");
      },
      .on_message = [](sallyport::Connection& c, sallyport::Message m) { c.send(m); },
  });
  return app.run({.listen = {argc > 2 ? argv[2] : "127.0.0.1:8080"},
                  .on_listening = [](const std::string& url) { std::cout << url << std::endl; }});
}
