#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "core/http/answer.h"
#include "server/entry.h"
#include "server/route_table.h"

// What the server's own endpoints say, and which pages may read it.

namespace sallyport::server {

/// Lets the pages of the route's origins read the answer (CORS).
void add_cors(const WsRoute& route, const http::Head& head, Response& response);
/// The answer to a page that asks in advance: the methods, and the fields that a script may set.
[[nodiscard]] Response allow_methods(Response response, const char* methods);
/// The question before a page's POST names no route: any that is `meant` and allows that origin will do, since the
/// POST itself is asked about its own.
[[nodiscard]] Response post_options(EndpointCall& call, const std::function<bool(const WsRoute&)>& meant);

/// RFC 9457.
[[nodiscard]] Response problem_response(unsigned status, std::string_view reason,
                                        const std::vector<http::AnswerField>& fields = {});
/// Says why, as a handshake would have been told, and tells the log. `route` may be null.
[[nodiscard]] Response refusal(EndpointCall& call, const WsRoute* route, const Refused& refused);
[[nodiscard]] Response wrong_method(const char* allowed);

}  // namespace sallyport::server
