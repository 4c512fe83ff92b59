#include "sallyport/app.h"

#include <csignal>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <utility>

#include "core/ws/encoder.h"
#include "io/context.h"
#include "server/endpoints.h"
#include "server/events.h"
#include "server/shared.h"
#include "server/static_files.h"
#include "server/worker.h"

namespace sallyport {

using server::Event;
using server::Worker;

namespace {

constexpr std::chrono::milliseconds kDrainGrace{3000};  // for closing handshakes, after the window

unsigned worker_count(unsigned asked) {
  return asked != 0 ? asked : std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

class App::Impl {
 public:
  explicit Impl(AppOptions options) : shared(std::move(options)) {}

  int run(RunOptions options);
  void stop() {
    stopping = true;
    if (!ended) boost::asio::post(control, [this] { begin_drain(); });
  }

  // Before what uses it, so that it ends after that: verifiers have sockets on it.
  io::Context control{1};
  server::Shared shared;
  const std::shared_ptr<server::FileCache> file_cache = std::make_shared<server::FileCache>();

 private:
  [[nodiscard]] std::vector<io::Endpoint> parse(const RunOptions& options) const;
  bool report_listen_failure(const std::string& detail) const;  // false
  [[nodiscard]] bool open_listeners(std::vector<io::Endpoint>& endpoints);
  void settle_origins(const std::vector<io::Endpoint>& endpoints);
  void serve(const RunOptions& options, const std::vector<io::Endpoint>& endpoints);
  void end() noexcept;
  void begin_drain();
  void on_worker_drained();
  void stop_workers();
  void wait_for_signals();

  template <typename Visit>
  void each_backend(Visit&& visit) {
    for (const auto& route : shared.site->routes.ws_routes()) {
      for (const auto& backend : route->spec.auth.verifier.backends()) visit(*backend);
    }
  }

  boost::asio::signal_set signals{control};
  boost::asio::steady_timer deadline{control};
  std::chrono::milliseconds drain{0};
  std::size_t undrained = 0;
  bool draining = false;
  std::atomic<bool> stopping = false;
  std::atomic<bool> running = false;
  std::atomic<bool> ended = false;
};

std::vector<io::Endpoint> App::Impl::parse(const RunOptions& options) const {
  std::vector<io::Endpoint> endpoints;
  if (options.listen.empty()) throw std::invalid_argument("listen: no address");
  for (const std::string& text : options.listen) {
    auto endpoint = io::parse_endpoint(text);
    if (!endpoint) throw std::invalid_argument("listen: " + endpoint.error());
    if (shared.site->tls == nullptr && !endpoint->loopback() && !shared.site->insecure_plaintext) {
      throw std::invalid_argument("listen: " + text +
                                  " is not a loopback address, so TLS is required; set a certificate, or "
                                  "insecure_plaintext if something in front of it ends TLS");
    }
    endpoints.push_back(*endpoint);
  }
  return endpoints;
}

// The one thing that this library ever prints: a program that ends at its start without a word helps nobody,
// and a first one has no log yet. The text is an address of the program's own and the system's error.
bool App::Impl::report_listen_failure(const std::string& detail) const {
  if (!shared.options.log) std::fprintf(stderr, "sallyport: %s\n", detail.c_str());
  Event(shared.options.log, LogLevel::kError, "server.listen_failed").with("detail", detail);
  return false;
}

bool App::Impl::open_listeners(std::vector<io::Endpoint>& endpoints) {
  for (io::Endpoint& endpoint : endpoints) {
    // Alone first: SO_REUSEPORT, by which our workers share a port, would also share it with another
    // process of this user that happens to listen there.
    const auto probe = io::ListeningSocket::probe(endpoint);
    if (!probe) return report_listen_failure(probe.error());
    endpoint = *probe;
    for (const auto& worker : shared.workers) {
      auto socket = io::ListeningSocket::open(endpoint);
      if (!socket) return report_listen_failure(socket.error());
      worker->listen(std::move(*socket));
    }
  }
  return true;
}

void App::Impl::settle_origins(const std::vector<io::Endpoint>& endpoints) {
  if (!shared.site->public_url.empty()) return;
  std::vector<http::Origin> origins;
  bool all_loopback = true;
  for (const io::Endpoint& endpoint : endpoints) {
    if (!endpoint.loopback()) {
      all_loopback = false;
      continue;
    }
    for (http::Origin& origin : http::loopback_origins(endpoint.port(), shared.site->tls != nullptr)) {
      origins.push_back(std::move(origin));
    }
  }
  shared.site->routes.set_loopback_origins(origins);
  shared.site->check_loopback_host = all_loopback;
}

int App::Impl::run(RunOptions options) {
  if (running.exchange(true)) throw std::logic_error("App::run has been called already");
  // Whoever has not served anybody may try again, on another port for example.
  struct Attempt {
    Impl& app;
    bool serves = false;
    ~Attempt() {
      if (serves) return;
      app.shared.workers.clear();
      app.running = false;
    }
  } attempt{*this};
  std::vector<io::Endpoint> endpoints = parse(options);
  drain = options.drain;
  for (unsigned i = 0; i < worker_count(options.workers); ++i) {
    shared.workers.push_back(std::make_unique<Worker>(shared));
  }
  if (!open_listeners(endpoints)) return 1;
  settle_origins(endpoints);
  server::add_public_endpoints(shared.site->routes);
  attempt.serves = true;
  serve(options, endpoints);
  return 0;
}

void App::Impl::serve(const RunOptions& options, const std::vector<io::Endpoint>& endpoints) {
  // However it ends: by an exception of a factory or of `on_listening` too.
  struct End {
    Impl& app;
    ~End() { app.end(); }
  } end{*this};
  shared.serving.store(true, std::memory_order_release);
  if (options.handle_signals) {
    signals.add(SIGTERM);
    signals.add(SIGINT);
    wait_for_signals();
  }
  const VerifierHost host{control, shared.options.log};
  each_backend([&](const VerifierBackend& backend) { backend.start(host); });
  for (const auto& worker : shared.workers) worker->start();
  for (const auto& worker : shared.workers) worker->wait_until_serving();
  if (options.on_listening) {
    for (const io::Endpoint& endpoint : endpoints) {
      options.on_listening((shared.site->tls != nullptr ? "wss://" : "ws://") + endpoint.text());
    }
  }
  if (stopping) stop();
  const auto guard = boost::asio::make_work_guard(control);
  control.run();
}

void App::Impl::end() noexcept {
  // The workers stay: another thread may be publishing at this moment, which is then heard by nobody.
  shared.serving.store(false, std::memory_order_release);
  for (const auto& worker : shared.workers) worker->stop();
  for (const auto& worker : shared.workers) worker->join();
  ended = true;
  boost::system::error_code ignored;
  signals.clear(ignored);  // from here on they have their default effect again
  control.destroy_waiting();
  each_backend([](const VerifierBackend& backend) { backend.stop(); });
}

void App::Impl::wait_for_signals() {
  signals.async_wait([this](const boost::system::error_code& error, int) {
    if (error) return;
    // Who asks a second time does not want to wait for the first; and a third signal is not ours any more, so
    // that it ends a program whose callback never returns.
    if (draining) {
      boost::system::error_code ignored;
      signals.clear(ignored);
      return stop_workers();
    }
    begin_drain();
    wait_for_signals();
  });
}

void App::Impl::begin_drain() {
  if (draining || shared.workers.empty()) return;
  draining = true;
  Event(shared.options.log, LogLevel::kInfo, "server.draining")
      .with("connections", static_cast<std::int64_t>(shared.open.load()))
      .with("window_ms", std::int64_t{drain.count()});
  undrained = shared.workers.size();
  for (const auto& worker : shared.workers) {
    worker->drain(drain, [this] { boost::asio::post(control, [this] { on_worker_drained(); }); });
  }
  deadline.expires_after(drain + kDrainGrace);
  deadline.async_wait([this](const boost::system::error_code& error) {
    if (!error) stop_workers();
  });
}

void App::Impl::on_worker_drained() {
  if (--undrained == 0) stop_workers();
}

void App::Impl::stop_workers() {
  for (const auto& worker : shared.workers) worker->stop();
  control.stop();
}

App::App(AppOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
App::~App() = default;

App& App::use(Middleware middleware) { return use({}, std::move(middleware)); }

App& App::use(std::string path, Middleware middleware) {
  impl_->shared.site->routes.add_middleware(std::move(path), std::move(middleware));
  return *this;
}

App& App::ws(std::string path, Route route) {
  impl_->shared.site->routes.add_ws(std::move(path), std::move(route), false, impl_->shared.options);
  return *this;
}

App& App::hub(std::string path, Route route) {
  impl_->shared.site->routes.add_ws(std::move(path), std::move(route), true, impl_->shared.options);
  return *this;
}

App& App::get(std::string path, std::function<Response(Request&)> handler) {
  impl_->shared.site->routes.add_http(std::move(path), std::move(handler), {});
  return *this;
}

App& App::get_async(std::string path, std::function<awaitable<Response>(Request&)> handler) {
  impl_->shared.site->routes.add_http(std::move(path), {}, std::move(handler));
  return *this;
}

App& App::files(std::string path, std::string folder) {
  const auto files = std::make_shared<const server::StaticFiles>(std::move(folder), impl_->file_cache);
  // "/app" and "/app/" mean everything below it.
  if (!path.ends_with('*')) path += path.ends_with('/') ? "*" : "/*";
  return get(std::move(path), [files](Request& request) { return files->serve(request.param("*")); });
}

void App::add_worker_state(std::type_index type, std::function<std::any()> factory) {
  impl_->shared.worker_states.emplace_back(type, std::move(factory));
}

int App::run(RunOptions options) { return impl_->run(std::move(options)); }
void App::stop() { impl_->stop(); }

bool App::publish(std::string_view channel, std::string_view text) {
  std::string frame;
  ws::append_frame(frame, {.opcode = ws::Opcode::kText}, text);
  return impl_->shared.publish(nullptr, channel, std::make_shared<const std::string>(std::move(frame)));
}

std::size_t App::connections() const {
  return impl_->shared.open.load(std::memory_order_relaxed);
}

std::string_view name(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::kTrace: return "trace";
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarn: return "warn";
    case LogLevel::kError: return "error";
  }
  return "error";
}

}  // namespace sallyport
