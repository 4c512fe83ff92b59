#pragma once

#include <any>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sallyport/awaitable.h"
#include "sallyport/log.h"

namespace sallyport {

namespace server {
class RequestState;
}

/// An HTTP answer: what a GET route returns, or what middleware refuses with.
struct Response {
  std::uint16_t status = 200;
  std::string body = {};
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> fields = {};  ///< further header fields
  /// Instead of `body`: one that many answers have in common, a page perhaps. It is never copied.
  std::shared_ptr<const std::string> shared_body = {};
};

/// The handshake as middleware, `authorize` and GET handlers see it: an owned copy, so it may be kept
/// across `co_await`. The credential that was consumed is no longer in it. Valid until the handler or
/// the middleware chain has ended; belongs to the connection's worker thread.
class Request {
 public:
  explicit Request(server::RequestState& state) : state_(&state) {}

  [[nodiscard]] std::string_view method() const;
  [[nodiscard]] std::string_view path() const;    ///< as sent, without the query
  [[nodiscard]] std::string_view target() const;  ///< path and query
  [[nodiscard]] std::string_view host() const;    ///< the Host field
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
  /// A query parameter, percent-decoded; nothing if it is absent or given twice.
  [[nodiscard]] std::optional<std::string> query(std::string_view name) const;
  /// A parameter of the route's path, percent-decoded; empty if the route has none of that name.
  [[nodiscard]] std::string_view param(std::string_view name) const;
  /// The peer's address as text.
  [[nodiscard]] std::string address() const;
  /// The id that the connection has, or would have.
  [[nodiscard]] std::string connection_id() const;

  /// Keeps a value for later middleware, `authorize` and the connection's callbacks.
  void locals(std::string name, std::any value);
  /// What was kept under `name`, or null if there is nothing of that type.
  template <typename T>
  [[nodiscard]] const T* local(std::string_view name) const {
    return std::any_cast<T>(find_local(name));
  }

  /// Reports an event to the app's log. Never put a credential into it.
  void log(const LogEvent& event) const;

  /// Answers instead of upgrading. The first answer counts; middleware that has answered returns
  /// without calling `next`.
  void respond(Response response);

 private:
  [[nodiscard]] const std::any* find_local(std::string_view name) const;
  server::RequestState* state_;
};

/// The rest of the chain. Awaiting it runs all later middleware and the decision itself is taken after
/// the chain has unwound.
using Next = std::function<awaitable<void>()>;

/// Runs on every handshake under its path, in registration order, never per frame. It ends by awaiting
/// `next()` or by answering; doing neither refuses with 500, an exception refuses with 500, a passed
/// deadline with 503.
using Middleware = std::function<awaitable<void>(Request&, Next)>;

}  // namespace sallyport
