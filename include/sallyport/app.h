#pragma once

#include <any>
#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>
#include <vector>

#include "sallyport/log.h"
#include "sallyport/request.h"
#include "sallyport/revocation.h"
#include "sallyport/route.h"
#include "sallyport/service.h"
#include "sallyport/store.h"

namespace sallyport {

/// Whether clients are asked for a certificate in the TLS handshake. One that does not verify ends the
/// connection, also where it is optional.
enum class ClientCertificate : std::uint8_t {
  kNone,      ///< they are not asked
  kOptional,  ///< those without one go on, to routes with other credentials
  kRequired,  ///< those without one are refused before any request
};

/// A certificate and its key. Files are read when the app is made; a fault throws `std::runtime_error`
/// that names the file.
struct Tls {
  std::string certificate_file;     ///< PEM, leaf first, then intermediates
  std::string key_file;             ///< PEM
  std::string client_ca_file = {};  ///< PEM: who may have signed a client's certificate; nobody else
  /// Needs `client_ca_file`, or `App` throws `std::invalid_argument`.
  ClientCertificate client_certificate = ClientCertificate::kNone;
};
[[nodiscard]] inline Tls pem(std::string certificate_file, std::string key_file) {
  return {.certificate_file = std::move(certificate_file), .key_file = std::move(key_file)};
}

/// How many, within how long.
struct Rate {
  std::uint32_t count;
  std::chrono::milliseconds within;
};

/// Before authentication. Sockets that have not proven themselves share budgets of their own, so that they
/// cannot crowd out those that have.
struct ServerLimits {
  std::chrono::milliseconds handshake_timeout{5000};  ///< TCP accept to complete request head, TLS included
  Bytes header_bytes = 16 * 1024;                     ///< then 431
  std::uint32_t pending = 10'000;             ///< sockets not authenticated; the oldest makes room
  std::uint32_t pending_per_address = 256;    ///< likewise, per IPv4 /32 or IPv6 /64
  Rate failures_per_address{60, std::chrono::minutes(1)};  ///< refused credentials, then 429
  /// Credentials that have to be verified because no cache knows them, in all; then 503 with a Retry-After, so
  /// that everybody who comes back at once does not keep those waiting who are known. A count of 0: no limit.
  Rate verifications{10'000, std::chrono::seconds(1)};
};

struct AppOptions {
  std::optional<Tls> tls = {};      ///< absent: plain text, on loopback only
  bool insecure_plaintext = false;  ///< plain text on other addresses too
  std::string public_url = {};      ///< what browsers see, such as "https://chat.example.com"
  /// Address blocks (CIDR) of the proxies in front of this server, which are believed when they say who the
  /// client is: by a PROXY protocol header, X-Forwarded-For or Forwarded. List only those that always say it,
  /// because what they pass on unchanged is believed too. `App` throws `std::invalid_argument` on a block that
  /// is none.
  std::vector<std::string> trusted_proxies = {};
  ServerLimits limits = {};
  /// Where events go; nothing: nowhere, but for the one that `run` tells. Called on several threads.
  LogSink log = {};
  /// What must survive the process, such as `sqlite_store("sallyport.db")`; nothing: revocations end with it.
  std::shared_ptr<Store> store = {};
  /// How long later handshakes meet the revocation of a session or a token. Longer than any credential lives.
  std::chrono::milliseconds keep_revocations = std::chrono::days(30);
  std::string node = {};  ///< what this process is called where there are several; empty: the host's name
};

struct RunOptions {
  std::vector<std::string> listen = {"127.0.0.1:8080"};  ///< "host:port"; port 0: the kernel chooses
  unsigned workers = 0;                                  ///< threads; 0: one per core
  std::chrono::milliseconds drain{10'000};               ///< spread of closes (1012) after `stop`
  bool handle_signals = true;                            ///< SIGTERM and SIGINT call `stop`
  /// Called once for every listener when it accepts, with for example "ws://127.0.0.1:8080".
  std::function<void(const std::string& url)> on_listening = {};
};

/// A server. Set it up from one thread, then `run` it. `stop` and `publish` may be called from any thread.
class App {
 public:
  /// Throws `std::runtime_error` when the certificate or key cannot be used.
  explicit App(AppOptions options = {});
  ~App();
  App(App&&) noexcept;
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  /// Middleware for every handshake, or for those under `path`: "/chat/*" also matches "/chat/a/b".
  App& use(Middleware middleware);
  App& use(std::string path, Middleware middleware);

  /// A WebSocket route. Throws `std::invalid_argument` on a path or setting that cannot be meant.
  App& ws(std::string path, Route route);
  template <typename T>
  App& ws(std::string path, RouteOf<T> route);

  /// A WebSocket route that speaks the channel protocol: subscribe, publish, `permit`.
  App& hub(std::string path, Route route);

  /// A plain GET (and HEAD) route.
  App& get(std::string path, std::function<Response(Request&)> handler);
  App& get_async(std::string path, std::function<awaitable<Response>(Request&)> handler);
  /// Files below `folder`. Names that start with a dot and links that leave the folder are not served.
  App& files(std::string path, std::string folder);

  /// One `State` per worker, made on its thread: no locks needed. Fetch it with `worker_state<State>()` in a
  /// callback. What the factory throws, `run` throws.
  template <typename State>
  App& per_worker(std::function<State()> factory) {
    add_worker_state(typeid(State), [f = std::move(factory)] { return std::any(std::make_shared<State>(f())); });
    return *this;
  }

  /// Serves until `stop` and the drain have ended. Returns 0, or 1 if a listener could not be opened, which
  /// the log tells, or stderr where there is no log: nothing else is ever printed. Blocks.
  /// Throws `std::invalid_argument` for an address that is none, `std::logic_error` when it has served before, and
  /// what `on_listening` or a `per_worker` factory throws. When it ends nothing of the user's runs any more; what
  /// callbacks refer to must live until then.
  int run(RunOptions options = {});
  /// Closes every connection with 1012, spread over the drain window, and lets nobody new in. Thread-safe.
  void stop();
  /// Becomes what the app that `make` returns was set up to be: its routes, certificate, limits, public URL and trusted proxies. Open
  /// connections stay. Each goes on under the route of the same path, by whose verifiers, scopes, claims, addresses,
  /// `authorize` and permits it is judged at once; where there is none any more, or it is not permitted, it is closed
  /// (3003, or 3000 where the verifier that had accepted it is gone). Listeners, workers, `per_worker` states, the
  /// store and the log stay what they are. That app never runs, and its `App::ws<T>` routes must carry what those of
  /// the same path carried. What `make` throws is the error, and an error changes nothing. Returns when every worker
  /// has taken it over; thread-safe, but not to be called from callbacks.
  [[nodiscard]] std::expected<void, std::string> reload(const std::function<App()>& make);
  /// Ends every connection that the selector means and refuses whoever comes with such a credential later. `done`,
  /// on the app's control thread, is told when every worker has applied it and the store has it. Thread-safe.
  void revoke(RevokeRequest request,
              std::function<void(const std::expected<RevokeResult, RevokeFault>&)> done = {});
  /// Later handshakes do not meet it any more. False to `done`: there is none of that number. Thread-safe.
  void lift(std::uint64_t id, std::function<void(const std::expected<bool, RevokeFault>&)> done = {});
  /// Runs beside the listeners. Before `run`.
  App& add(std::shared_ptr<Service> service);
  /// To everyone in the channel, on all workers. False if more than 32 MiB wait for a worker already: its members
  /// miss this one, and the log says once a second how many were dropped. It never blocks. Thread-safe.
  bool publish(std::string_view channel, std::string_view text);
  /// Connections that are open and authenticated. Thread-safe.
  [[nodiscard]] std::size_t connections() const;

 private:
  void add_worker_state(std::type_index type, std::function<std::any()> factory);
  class Impl;
  std::unique_ptr<Impl> impl_;
};

namespace server {
/// The calling worker's state of that type, or null outside a callback.
[[nodiscard]] std::any* find_worker_state(std::type_index type);
[[noreturn]] void throw_no_worker_state(std::type_index type);
}  // namespace server

/// The calling worker's own `State` (see `App::per_worker`). Call it in callbacks only: elsewhere, and for a type
/// that the app was not told of, it throws `std::logic_error`.
template <typename State>
[[nodiscard]] State& worker_state() {
  auto* const state = std::any_cast<std::shared_ptr<State>>(server::find_worker_state(typeid(State)));
  if (state == nullptr) server::throw_no_worker_state(typeid(State));
  return **state;
}

template <typename T>
App& App::ws(std::string path, RouteOf<T> route) {
  Route plain{.auth = std::move(route.auth),
              .origins = std::move(route.origins),
              .limits = route.limits,
              .scopes = std::move(route.scopes),
              .claims = std::move(route.claims),
              .allow_addresses = std::move(route.allow_addresses),
              .deny_addresses = std::move(route.deny_addresses),
              .reject = route.reject,
              .close_codes = route.close_codes,
              .subprotocols = std::move(route.subprotocols),
              .keep_claims = route.keep_claims,
              .compression = route.compression,
              .authorize = std::move(route.authorize)};
  plain.make_data = [] { return std::any(std::make_shared<T>()); };
  const auto typed = [](auto callback) {
    return [callback = std::move(callback)](Connection& c, auto&&... rest) {
      ConnectionOf<T> view(c);
      callback(view, std::forward<decltype(rest)>(rest)...);
    };
  };
  if (route.on_open) plain.on_open = typed(std::move(route.on_open));
  if (route.on_message) plain.on_message = typed(std::move(route.on_message));
  if (route.on_drain) plain.on_drain = typed(std::move(route.on_drain));
  if (route.on_close) plain.on_close = typed(std::move(route.on_close));
  return ws(std::move(path), std::move(plain));
}

/// Middleware that reports every handshake to the app's log.
[[nodiscard]] Middleware access_log();

}  // namespace sallyport
