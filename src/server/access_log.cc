#include "sallyport/app.h"

namespace sallyport {

Middleware access_log() {
  return [](Request& request, Next next) -> awaitable<void> {
    request.log({.name = "http.request",
                 .fields = {{"connection", request.connection_id()},
                            {"address", request.address()},
                            {"method", std::string(request.method())},
                            // Without the query: whatever an application puts there is not for a log.
                            {"path", std::string(request.path())}}});
    co_await next();
  };
}

}  // namespace sallyport
