#include "sallyport/app.h"

#include <csignal>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <algorithm>
#include <cstdio>
#include <future>
#include <list>
#include <stdexcept>
#include <thread>
#include <utility>

#include "core/ws/encoder.h"
#include "io/context.h"
#include "server/app_control.h"
#include "server/endpoints.h"
#include "server/events.h"
#include "server/shared.h"
#include "server/static_files.h"
#include "server/visit.h"
#include "server/worker.h"

namespace sallyport {

using server::Event;
using server::Worker;

namespace {

constexpr std::chrono::milliseconds kRetireGrace{2000};
constexpr std::chrono::milliseconds kDrainGrace{3000};  // for closing handshakes, after the window

unsigned worker_count(unsigned asked) {
  return asked != 0 ? asked : std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

class App::Impl {
 public:
  explicit Impl(AppOptions options) : shared(std::move(options)) { shared.control = &control; }

  int run(RunOptions options);
  std::expected<void, std::string> reload(Impl& next);
  void stop() {
    stopping = true;
    if (!ended) boost::asio::post(control, [this] { begin_drain(); });
  }

  // Before what uses it, so that it ends after that: verifiers have sockets on it.
  io::Context control{1};
  server::Shared shared;
  server::AppControl administration{shared};
  std::vector<std::shared_ptr<Service>> services;
  const std::shared_ptr<server::FileCache> file_cache = std::make_shared<server::FileCache>();

 private:
  [[nodiscard]] std::vector<io::Endpoint> parse(const RunOptions& options) const;
  bool report_failure(std::string_view event, const std::string& detail) const;  // false
  [[nodiscard]] bool open_listeners(std::vector<io::Endpoint>& endpoints);
  static void settle_origins(server::Site& site, const std::vector<io::Endpoint>& endpoints);
  [[nodiscard]] bool start_services(const RunOptions& options);
  void take_over(std::shared_ptr<server::Site> site, std::promise<void> done);
  void retire(const server::Site& old);
  void sweep();
  [[nodiscard]] bool serve(const RunOptions& options);
  void end() noexcept;
  void begin_drain();
  void on_worker_drained();
  void stop_workers();
  void wait_for_signals();

  using Backends = std::vector<std::shared_ptr<const VerifierBackend>>;
  [[nodiscard]] static Backends backends_of(const server::Site& site) {
    Backends all;
    for (const auto& route : site.routes.ws_routes()) {
      for (const auto& backend : route->spec.auth.verifier.backends()) all.push_back(backend);
    }
    return all;
  }

  boost::asio::signal_set signals{control};
  boost::asio::steady_timer deadline{control};
  boost::asio::steady_timer sweeper{control};
  std::vector<io::Endpoint> listening;
  Backends retired;  // of sites that have been replaced, until nobody asks them any more
  std::list<boost::asio::steady_timer> retirements;
  std::chrono::milliseconds drain{0};
  std::size_t undrained = 0;
  std::vector<std::string> service_urls;
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
bool App::Impl::report_failure(std::string_view event, const std::string& detail) const {
  if (!shared.options.log) std::fprintf(stderr, "sallyport: %s\n", detail.c_str());
  Event(shared.options.log, LogLevel::kError, event).with("detail", detail);
  return false;
}

bool App::Impl::open_listeners(std::vector<io::Endpoint>& endpoints) {
  for (io::Endpoint& endpoint : endpoints) {
    // Alone first: SO_REUSEPORT, by which our workers share a port, would also share it with another
    // process of this user that happens to listen there.
    const auto probe = io::ListeningSocket::probe(endpoint);
    if (!probe) return report_failure("server.listen_failed", probe.error());
    endpoint = *probe;
    for (const auto& worker : shared.workers) {
      auto socket = io::ListeningSocket::open(endpoint);
      if (!socket) return report_failure("server.listen_failed", socket.error());
      worker->listen(std::move(*socket));
    }
  }
  return true;
}

void App::Impl::settle_origins(server::Site& site, const std::vector<io::Endpoint>& endpoints) {
  if (!site.public_url.empty()) return;
  std::vector<http::Origin> origins;
  bool all_loopback = true;
  for (const io::Endpoint& endpoint : endpoints) {
    if (!endpoint.loopback()) {
      all_loopback = false;
      continue;
    }
    for (http::Origin& origin : http::loopback_origins(endpoint.port(), site.tls != nullptr)) {
      origins.push_back(std::move(origin));
    }
  }
  site.routes.set_loopback_origins(origins);
  site.check_loopback_host = all_loopback;
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
  listening = parse(options);
  drain = options.drain;
  for (unsigned i = 0; i < worker_count(options.workers); ++i) {
    shared.workers.push_back(std::make_unique<Worker>(shared, i));
  }
  if (!open_listeners(listening)) return 1;
  if (const auto opened = shared.revocations.open(); !opened) {
    (void)report_failure("server.start_failed", "store: " + opened.error());
    return 1;
  }
  settle_origins(*shared.site, listening);
  shared.history.keep_for(server::history_age(shared.site->routes));
  server::add_public_endpoints(shared.site->routes);
  attempt.serves = true;
  return serve(options) ? 0 : 1;
}

bool App::Impl::start_services(const RunOptions& options) {
  for (const auto& service : services) {
    const auto urls = service->start({control, shared.options.log, administration});
    if (!urls) return report_failure("server.start_failed", urls.error());
    if (!options.on_listening) continue;
    for (const std::string& url : *urls) service_urls.push_back(url);
  }
  return true;
}

bool App::Impl::serve(const RunOptions& options) {
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
  if (!start_services(options)) return false;
  const VerifierHost host{control, shared.options.log};
  for (const auto& backend : backends_of(*shared.site)) backend->start(host);
  for (const auto& worker : shared.workers) worker->start();
  for (const auto& worker : shared.workers) worker->wait_until_serving();
  if (options.on_listening) {
    for (const io::Endpoint& endpoint : listening) {
      options.on_listening((shared.site->tls != nullptr ? "wss://" : "ws://") + endpoint.text());
    }
  }
  if (options.on_listening) {
    for (const std::string& url : service_urls) options.on_listening(url);
  }
  if (stopping) stop();
  sweep();
  const auto guard = boost::asio::make_work_guard(control);
  control.run();
  return true;
}

// What has ended is forgotten in the background.
void App::Impl::sweep() {
  sweeper.expires_after(std::chrono::seconds(10));
  sweeper.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    shared.revocations.expire();
    const base::MonoTime now = server::read_clocks().mono;
    shared.history.expire(now);
    shared.resumes.expire(now);
    sweep();
  });
}

// ---- Reload

std::expected<void, std::string> App::Impl::reload(Impl& next) {
  if (next.running) return std::unexpected("the app to become has run itself");
  const std::shared_ptr<server::Site> site = next.shared.site;
  if ((site->tls != nullptr) != (shared.options.tls.has_value())) {
    return std::unexpected("the listeners cannot begin or cease to speak TLS while they are open; restart instead");
  }
  if (!shared.serving || ended) return std::unexpected("the app does not run");
  server::add_public_endpoints(site->routes);
  std::promise<void> done;
  std::future<void> taken = done.get_future();
  boost::asio::post(control, [this, site, done = std::move(done)]() mutable { take_over(site, std::move(done)); });
  // Nothing will, if the app ends meanwhile: then the promise is broken.
  try {
    taken.get();
  } catch (const std::future_error&) {
    return std::unexpected("the app ended");
  }
  return {};
}

// On the control thread. What the workers go by changes from one turn to the next, in each of them for itself.
void App::Impl::take_over(std::shared_ptr<server::Site> site, std::promise<void> done) {
  settle_origins(*site, listening);
  shared.history.keep_for(server::history_age(site->routes));
  const std::shared_ptr<server::Site> old = std::exchange(shared.site, site);
  site->number = old->number + 1;
  site->routes.set_site_number(site->number);
  const VerifierHost host{control, shared.options.log};
  for (const auto& backend : backends_of(*site)) backend->start(host);
  shared.admission.set_limits(site->limits);
  const auto waiting = std::make_shared<std::size_t>(shared.workers.size());
  const auto promise = std::make_shared<std::promise<void>>(std::move(done));
  for (const auto& worker : shared.workers) {
    worker->post([this, target = worker.get(), site, old, waiting, promise] {
      target->adopt(site);
      boost::asio::post(control, [this, old, waiting, promise] {
        if (--*waiting != 0) return;
        retire(*old);
        Event(shared.options.log, LogLevel::kInfo, "server.reloaded")
            .with("connections", static_cast<std::int64_t>(shared.open.load()));
        promise->set_value();
      });
    });
  }
}

// A verifier that is not used any more may still be asked something by a handshake that began before. It ends when
// that has passed its deadline.
void App::Impl::retire(const server::Site& old) {
  const Backends current = backends_of(*shared.site);
  Backends gone;
  for (const auto& backend : backends_of(old)) {
    if (std::find(current.begin(), current.end(), backend) == current.end()) gone.push_back(backend);
  }
  if (gone.empty()) return;
  std::chrono::milliseconds longest{0};
  for (const auto& backend : gone) longest = std::max(longest, backend->deadline());
  retired.insert(retired.end(), gone.begin(), gone.end());
  retirements.emplace_back(control, longest + kRetireGrace);
  retirements.back().async_wait([this, gone](const boost::system::error_code& error) {
    if (error) return;
    for (const auto& backend : gone) {
      backend->stop();
      std::erase(retired, backend);
    }
    std::erase_if(retirements, [](const boost::asio::steady_timer& timer) {
      return timer.expiry() <= std::chrono::steady_clock::now();
    });
  });
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
  for (const auto& backend : backends_of(*shared.site)) backend->stop();
  for (const auto& backend : retired) backend->stop();
  for (const auto& service : services) service->stop();
  shared.revocations.close();
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
  shared.draining = true;
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
App::App(App&&) noexcept = default;
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

std::expected<void, std::string> App::reload(const std::function<App()>& make) {
  std::expected<void, std::string> result;
  try {
    const App next = make();
    result = impl_->reload(*next.impl_);
  } catch (...) {
    result = std::unexpected(server::what_of(std::current_exception()));
  }
  impl_->administration.count_reload(result.has_value());
  if (!result) {
    Event(impl_->shared.options.log, LogLevel::kError, "server.reload_refused")
        .with("detail", result.error())
        .with("advice", "the configuration from before stays in force");
  }
  return result;
}

void App::revoke(RevokeRequest request,
                 std::function<void(const std::expected<RevokeResult, RevokeFault>&)> done) {
  server::Shared& shared = impl_->shared;
  boost::asio::co_spawn(
      impl_->control,
      [](server::Shared& app, RevokeRequest what,
         std::function<void(const std::expected<RevokeResult, RevokeFault>&)> then) -> awaitable<void> {
        const auto result = co_await app.revocations.revoke(std::move(what));
        if (then) then(result);
      }(shared, std::move(request), std::move(done)),
      boost::asio::detached);
}

void App::lift(std::uint64_t id, std::function<void(const std::expected<bool, RevokeFault>&)> done) {
  boost::asio::co_spawn(
      impl_->control,
      [](server::Shared& app, std::uint64_t number,
         std::function<void(const std::expected<bool, RevokeFault>&)> then) -> awaitable<void> {
        const auto result = co_await app.revocations.lift(number);
        if (then) then(result);
      }(impl_->shared, id, std::move(done)),
      boost::asio::detached);
}

App& App::add(std::shared_ptr<Service> service) {
  impl_->services.push_back(std::move(service));
  return *this;
}

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
