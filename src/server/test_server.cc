#include "server/test_server.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdlib>
#include <future>
#include <stdexcept>
#include <utility>

#include "core/jose/jws.h"
#include "io/test_certificate.h"

namespace sallyport::server::test {

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

awaitable<void> pause_for(std::chrono::milliseconds time) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, time);
  co_await timer.async_wait(boost::asio::use_awaitable);
}

// ---- Record and Log

void Record::add(std::string text) {
  const std::lock_guard lock(mutex_);
  texts_.push_back(std::move(text));
}

std::vector<std::string> Record::all() const {
  const std::lock_guard lock(mutex_);
  return texts_;
}

std::size_t Record::size() const {
  const std::lock_guard lock(mutex_);
  return texts_.size();
}

bool Record::wait_for(std::size_t count) const {
  return eventually([&] { return size() >= count; });
}

LogSink Log::sink() {
  return [this](const LogEvent& event) {
    std::string line(event.name);
    for (const auto& [name, value] : event.fields) {
      line += " " + std::string(name) + "=";
      if (const auto* text = std::get_if<std::string>(&value)) line += *text;
      if (const auto* number = std::get_if<std::int64_t>(&value)) line += std::to_string(*number);
      if (const auto* flag = std::get_if<bool>(&value)) line += *flag ? "true" : "false";
    }
    record_.add(std::move(line));
  };
}

std::size_t Log::count(std::string_view name, std::string_view part) const {
  std::size_t count = 0;
  for (const std::string& line : record_.all()) {
    const bool named = line.starts_with(name) && (line.size() == name.size() || line[name.size()] == ' ');
    if (named && line.find(part) != std::string::npos) ++count;
  }
  return count;
}

// ---- Server

Server::Server(AppOptions options) : app(std::move(options)) {}

Server::~Server() { stop(); }

void Server::start(RunOptions options) {
  options.listen = {"127.0.0.1:0"};
  options.handle_signals = false;
  std::promise<std::string> listening;
  options.on_listening = [&](const std::string& url) { listening.set_value(url); };
  thread_ = std::thread([this, options = std::move(options)]() mutable { result_ = app.run(std::move(options)); });
  const std::string url = listening.get_future().get();
  port_ = static_cast<std::uint16_t>(std::atoi(url.substr(url.rfind(':') + 1).c_str()));
}

int Server::stop() {
  if (thread_.joinable()) {
    app.stop();
    thread_.join();
  }
  return result_;
}

bool Server::empties() const {
  return eventually([this] { return app.connections() == 0; });
}

const Tls& localhost_tls() {
  static const io::test::TempFolder folder;
  static const Tls tls = [] {
    const io::test::Certificate made = io::test::make_certificate();
    return pem(folder.write("localhost.crt", made.certificate_pem),
               folder.write("localhost.key", made.key_pem));
  }();
  return tls;
}

// ---- Tokens

std::string claims_of(const TokenSpec& spec) {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
  std::string json = R"({"iss":")" + spec.issuer + R"(","sub":")" + spec.subject + R"(","iat":)" +
                     std::to_string(now.count()) + R"(,"exp":)" + std::to_string((now + spec.life).count());
  if (!spec.scope.empty()) json += R"(,"scope":")" + spec.scope + "\"";
  return json + spec.more + "}";
}

std::string token(const TokenSpec& spec) {
  const auto key = jose::Key::from_secret(kSecret);
  if (!key) throw std::runtime_error("the test secret is no key");
  const auto signed_token = jose::sign_compact(claims_of(spec), *key, jose::Algorithm::kHs256);
  if (!signed_token) throw std::runtime_error("the test token cannot be signed");
  return *signed_token;
}

Verifier secret_verifier() {
  return jwt({.issuer = std::string(kIssuer),
              .audience = {},
              .algorithms = {"HS256"},
              .keys = secret_text(kSecret),
              .leeway = std::chrono::seconds(0)});
}

}  // namespace sallyport::server::test
