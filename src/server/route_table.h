#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/auth/access.h"
#include "core/auth/failure.h"
#include "core/auth/permit.h"
#include "core/auth/state_machine.h"
#include "core/http/address.h"
#include "core/http/head.h"
#include "core/http/origin.h"
#include "core/http/route_pattern.h"
#include "sallyport/app.h"

namespace sallyport::server {

class RequestState;
class Worker;

/// A WebSocket route, compiled: everything that can be wrong with it has been said when it was made.
struct WsRoute {
  std::string path;
  Route spec;
  bool hub = false;
  bool anonymous = false;  ///< its only verifier asks for nothing
  bool drops_claims = false;  ///< nothing of the route asks for claims, and the spec does not keep them
  auth::Policy policy;
  http::OriginPolicy origins = http::OriginPolicy::same({});
  http::AddressRules addresses;
  auth::Requirements requirements;
  std::vector<auth::ChannelPermit> permits;
  std::vector<std::string> wanted_fields;  ///< what any of its verifiers wants to see of the header
  auth::CloseProfile close_profile = auth::CloseProfile::kIana;
  std::uint32_t index = 0;  ///< its place in the table
  std::uint64_t site_number = 0;  ///< which site it belongs to, `Site::number`

  /// Names its verifiers in caches, among those of all sites.
  [[nodiscard]] std::uint32_t cache_name() const noexcept {
    return (static_cast<std::uint32_t>(site_number) << 12) + index;
  }
  [[nodiscard]] bool first_message() const noexcept {
    return spec.auth.from.contains(CredentialKind::kFirstMessage);
  }
  [[nodiscard]] bool takes_tickets() const noexcept {
    return spec.auth.from.contains(CredentialKind::kTicket) && !anonymous;
  }
};

/// Keeps the site that it belongs to.
using WsRouteRef = std::shared_ptr<const WsRoute>;

using GetHandler = std::function<awaitable<Response>(Request&)>;
/// Answers at once; `rest` is what `*` matched.
using PlainHandler = std::function<Response(Request&)>;

/// A request to one of the server's own endpoints, on its worker's thread. It lives until the coroutine has ended.
struct EndpointCall {
  Worker& worker;
  const http::Head& head;   ///< with the credentials, which `request` does not have
  RequestState& request;
  std::string_view body;
  std::shared_ptr<const std::string> certificate;
};
/// Sees every method.
using Endpoint = std::function<awaitable<Response>(EndpointCall)>;

struct HttpRoute {
  std::string path;
  PlainHandler plain;
  GetHandler asynchronous;
  Endpoint endpoint = {};
  std::size_t body_bytes = 0;  ///< of an endpoint's request; then 413
};

struct MiddlewareEntry {
  std::optional<http::RoutePattern> pattern;  ///< nothing: every path
  Middleware run;
};

struct RouteMatch {
  const WsRoute* ws = nullptr;      ///< the WebSocket route of that path, if there is one
  const HttpRoute* http = nullptr;  ///< the plain route of that path, if there is one
  std::vector<http::RouteParam> ws_params;
  std::vector<http::RouteParam> http_params;
};

/// All routes of an app. Immutable once serving begins; shared by all workers.
class RouteTable {
 public:
  /// Throws std::invalid_argument.
  void add_ws(std::string path, Route route, bool hub, const AppOptions& options);
  void add_http(std::string path, PlainHandler plain, GetHandler asynchronous);
  /// Unless the application has a plain route of that path.
  void add_endpoint(std::string path, Endpoint endpoint, std::size_t body_bytes);
  void add_middleware(std::string path, Middleware middleware);
  /// Sets what `same_origin` means where no public URL says so: the loopback listeners' addresses.
  void set_loopback_origins(const std::vector<http::Origin>& origins);

  /// The WebSocket route that was registered under this path, or null.
  [[nodiscard]] const WsRoute* find_ws(std::string_view path) const noexcept;
  /// Before serving.
  void set_site_number(std::uint64_t number);

  [[nodiscard]] RouteMatch match(std::string_view raw_path) const;
  /// The middleware for a path, in registration order.
  [[nodiscard]] std::vector<const Middleware*> middleware(std::string_view raw_path) const;
  [[nodiscard]] const std::vector<std::unique_ptr<WsRoute>>& ws_routes() const noexcept { return ws_; }

 private:
  struct Entry {
    http::RoutePattern pattern;
    const WsRoute* ws = nullptr;
    const HttpRoute* http = nullptr;
  };
  void add_entry(http::RoutePattern pattern, const WsRoute* ws, const HttpRoute* http);

  std::vector<std::unique_ptr<WsRoute>> ws_;
  std::vector<std::unique_ptr<HttpRoute>> http_;
  std::vector<Entry> entries_;  // most specific first
  std::vector<MiddlewareEntry> middleware_;
};

}  // namespace sallyport::server
