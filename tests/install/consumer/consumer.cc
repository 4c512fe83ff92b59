// A program of someone else's, built against the installed package: it serves, stops, and says so by its exit code.
#include <sallyport/sallyport.h>

#include <string>

int main() {
  sallyport::App app;
  app.ws("/open", {.auth = {.verifier = sallyport::insecure_anonymous()}});
  std::string url;
  const int code = app.run({.listen = {"127.0.0.1:0"},
                            .workers = 1,
                            .handle_signals = false,
                            .on_listening = [&](const std::string& where) {
                              url = where;
                              app.stop();
                            }});
  return code == 0 && url.starts_with("ws://127.0.0.1:") ? 0 : 1;
}
