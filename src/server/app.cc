#include "sallyport/app.h"

#include <csignal>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <stdexcept>
#include <thread>
#include <utility>

#include "core/ws/encoder.h"
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
  explicit Impl(AppOptions options) : shared(std::move(options)) {
    if (!shared.options.tls) return;
    auto tls = io::TlsContext::load(shared.options.tls->certificate_file, shared.options.tls->key_file);
    if (!tls) throw std::runtime_error(tls.error());
    shared.tls = std::move(*tls);
  }

  int run(RunOptions options);
  void stop() {
    stopping = true;
    boost::asio::post(control, [this] { begin_drain(); });
  }

  // Before what uses it, so that it ends after that: verifiers have sockets on it.
  boost::asio::io_context control{1};
  server::Shared shared;

 private:
  [[nodiscard]] std::vector<io::Endpoint> parse(const RunOptions& options) const;
  [[nodiscard]] bool open_listeners(std::vector<io::Endpoint>& endpoints);
  void settle_origins(const std::vector<io::Endpoint>& endpoints);
  void begin_drain();
  void on_worker_drained();
  void stop_workers();
  void wait_for_signals();

  template <typename Visit>
  void each_backend(Visit&& visit) {
    for (const auto& route : shared.routes.ws_routes()) {
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
};

std::vector<io::Endpoint> App::Impl::parse(const RunOptions& options) const {
  std::vector<io::Endpoint> endpoints;
  if (options.listen.empty()) throw std::invalid_argument("listen: no address");
  for (const std::string& text : options.listen) {
    auto endpoint = io::parse_endpoint(text);
    if (!endpoint) throw std::invalid_argument("listen: " + endpoint.error());
    if (shared.tls == nullptr && !endpoint->loopback() && !shared.options.insecure_plaintext) {
      throw std::invalid_argument("listen: " + text +
                                  " is not a loopback address, so TLS is required; set a certificate, or "
                                  "insecure_plaintext if something in front of it ends TLS");
    }
    endpoints.push_back(*endpoint);
  }
  return endpoints;
}

bool App::Impl::open_listeners(std::vector<io::Endpoint>& endpoints) {
  for (io::Endpoint& endpoint : endpoints) {
    // Alone first: SO_REUSEPORT, by which our workers share a port, would also share it with another
    // process of this user that happens to listen there.
    const auto probe = io::ListeningSocket::probe(endpoint);
    if (!probe) {
      Event(shared.options.log, LogLevel::kError, "server.listen_failed").with("detail", probe.error());
      return false;
    }
    endpoint = *probe;
    for (const auto& worker : shared.workers) {
      auto socket = io::ListeningSocket::open(endpoint);
      if (!socket) {
        Event(shared.options.log, LogLevel::kError, "server.listen_failed")
            .with("detail", socket.error());
        return false;
      }
      worker->listen(std::move(*socket));
    }
  }
  return true;
}

void App::Impl::settle_origins(const std::vector<io::Endpoint>& endpoints) {
  if (!shared.options.public_url.empty()) return;
  std::vector<http::Origin> origins;
  bool all_loopback = true;
  for (const io::Endpoint& endpoint : endpoints) {
    if (!endpoint.loopback()) {
      all_loopback = false;
      continue;
    }
    for (http::Origin& origin : http::loopback_origins(endpoint.port(), shared.tls != nullptr)) {
      origins.push_back(std::move(origin));
    }
  }
  shared.routes.set_loopback_origins(origins);
  shared.check_loopback_host = all_loopback;
}

int App::Impl::run(RunOptions options) {
  if (running.exchange(true)) throw std::logic_error("App::run has been called already");
  std::vector<io::Endpoint> endpoints = parse(options);
  drain = options.drain;
  for (unsigned i = 0; i < worker_count(options.workers); ++i) {
    shared.workers.push_back(std::make_unique<Worker>(shared));
  }
  if (!open_listeners(endpoints)) {
    shared.workers.clear();
    return 1;
  }
  settle_origins(endpoints);
  shared.serving.store(true, std::memory_order_release);
  if (options.handle_signals) {
    signals.add(SIGTERM);
    signals.add(SIGINT);
    wait_for_signals();
  }
  const VerifierHost host{control, shared.options.log};
  each_backend([&](const VerifierBackend& backend) { backend.start(host); });
  for (const auto& worker : shared.workers) worker->start();
  if (options.on_listening) {
    for (const io::Endpoint& endpoint : endpoints) {
      options.on_listening((shared.tls != nullptr ? "wss://" : "ws://") + endpoint.text());
    }
  }
  if (stopping) stop();
  {
    const auto guard = boost::asio::make_work_guard(control);
    control.run();
  }
  // The workers stay: another thread may be publishing at this moment, which is then heard by nobody.
  for (const auto& worker : shared.workers) worker->join();
  each_backend([](const VerifierBackend& backend) { backend.stop(); });
  return 0;
}

void App::Impl::wait_for_signals() {
  signals.async_wait([this](const boost::system::error_code& error, int) {
    if (error) return;
    // Who asks a second time does not want to wait for the first.
    if (draining) return stop_workers();
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
  impl_->shared.routes.add_middleware(std::move(path), std::move(middleware));
  return *this;
}

App& App::ws(std::string path, Route route) {
  impl_->shared.routes.add_ws(std::move(path), std::move(route), false, impl_->shared.options);
  return *this;
}

App& App::hub(std::string path, Route route) {
  impl_->shared.routes.add_ws(std::move(path), std::move(route), true, impl_->shared.options);
  return *this;
}

App& App::get(std::string path, std::function<Response(Request&)> handler) {
  impl_->shared.routes.add_http(std::move(path), std::move(handler), {});
  return *this;
}

App& App::get_async(std::string path, std::function<awaitable<Response>(Request&)> handler) {
  impl_->shared.routes.add_http(std::move(path), {}, std::move(handler));
  return *this;
}

App& App::files(std::string path, std::string folder) {
  const auto files = std::make_shared<const server::StaticFiles>(std::move(folder));
  // "/app" and "/app/" mean everything below it.
  if (!path.ends_with('*')) path += path.ends_with('/') ? "*" : "/*";
  return get(std::move(path), [files](Request& request) { return files->serve(request.param("*")); });
}

void App::add_worker_state(std::type_index type, std::function<std::any()> factory) {
  impl_->shared.worker_states.emplace_back(type, std::move(factory));
}

int App::run(RunOptions options) { return impl_->run(std::move(options)); }
void App::stop() { impl_->stop(); }

void App::publish(std::string_view channel, std::string_view text) {
  std::string frame;
  ws::append_frame(frame, {.opcode = ws::Opcode::kText}, text);
  impl_->shared.publish(nullptr, channel, std::make_shared<const std::string>(std::move(frame)));
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
