#include "io/test_http_server.h"

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <thread>
#include <utility>

namespace sallyport::io::test {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

asio::awaitable<void> pause_for(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

std::string taken(std::string& from, std::size_t size) {
  std::string text = from.substr(0, size);
  from.erase(0, size);
  return text;
}

template <typename Stream>
asio::awaitable<HttpQuestion> read_question(Stream& stream, std::string& buffer) {
  HttpQuestion question;
  const std::size_t head =
      co_await asio::async_read_until(stream, asio::dynamic_buffer(buffer), "\r\n\r\n", asio::use_awaitable);
  question.head = taken(buffer, head);
  const std::size_t first = question.head.find(' ');
  const std::size_t second = question.head.find(' ', first + 1);
  question.method = question.head.substr(0, first);
  question.target = question.head.substr(first + 1, second - first - 1);
  const std::string length = question.field("Content-Length");
  const std::size_t size = length.empty() ? 0 : std::stoul(length);
  if (buffer.size() < size) {
    co_await asio::async_read(stream, asio::dynamic_buffer(buffer), asio::transfer_exactly(size - buffer.size()),
                              asio::use_awaitable);
  }
  question.body = taken(buffer, size);
  co_return question;
}

}  // namespace

std::string HttpQuestion::field(const std::string& name) const {
  const std::size_t at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

HttpAnswer http_answer(unsigned status, std::string_view body, std::string_view fields) {
  return {.bytes = "HTTP/1.1 " + std::to_string(status) + " Answer\r\n" + std::string(fields) +
                   "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body)};
}

class HttpServer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Respond respond, const Certificate* certificate, std::uint16_t port)
      : respond_(std::move(respond)),
        acceptor_(context_, tcp::endpoint(asio::ip::address_v4::loopback(), port)) {
    port_ = acceptor_.local_endpoint().port();
    if (certificate == nullptr) return;
    tls_ = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
    tls_->use_certificate_chain(asio::buffer(certificate->certificate_pem));
    tls_->use_private_key(asio::buffer(certificate->key_pem), asio::ssl::context::pem);
  }

  void start() {
    asio::co_spawn(context_, accept(), asio::detached);
    thread_ = std::thread([this] { context_.run(); });
  }
  void stop() {
    context_.stop();
    thread_.join();
  }

  std::atomic<std::size_t> questions = 0;
  std::atomic<std::size_t> connections = 0;
  std::atomic<std::size_t> open = 0;
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

 private:
  asio::awaitable<void> accept() {
    while (true) {
      tcp::socket socket = co_await acceptor_.async_accept(asio::use_awaitable);
      asio::co_spawn(context_, serve(std::move(socket), ++connections), asio::detached);
    }
  }

  asio::awaitable<void> serve(tcp::socket socket, std::size_t number) {
    ++open;
    try {
      if (tls_ == nullptr) {
        co_await talk(socket, number);
      } else {
        asio::ssl::stream<tcp::socket> stream(std::move(socket), *tls_);
        co_await stream.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
        if (co_await talk(stream, number)) co_await stream.async_shutdown(asio::use_awaitable);
      }
    } catch (const std::exception&) {
      // The client has gone.
    }
    --open;
  }

  // Whether to say goodbye.
  template <typename Stream>
  asio::awaitable<bool> talk(Stream& stream, std::size_t number) {
    std::string buffer;
    while (true) {
      HttpQuestion question = co_await read_question(stream, buffer);
      question.connection = number;
      ++questions;
      const HttpAnswer answer = respond_(question);
      if (answer.delay.count() > 0) co_await pause_for(answer.delay);
      if (answer.drip.count() == 0) {
        co_await asio::async_write(stream, asio::buffer(answer.bytes), asio::use_awaitable);
      } else {
        for (const char& c : answer.bytes) {
          co_await asio::async_write(stream, asio::buffer(&c, 1), asio::use_awaitable);
          co_await pause_for(answer.drip);
        }
      }
      if (answer.close) co_return answer.notify;
    }
  }

  const Respond respond_;
  asio::io_context context_{1};
  std::unique_ptr<asio::ssl::context> tls_;
  tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

HttpServer::HttpServer(Respond respond, const Certificate* tls, std::uint16_t port)
    : impl_(std::make_shared<Impl>(std::move(respond), tls, port)) {
  impl_->start();
}
HttpServer::~HttpServer() { impl_->stop(); }

std::uint16_t HttpServer::port() const noexcept { return impl_->port(); }
std::string HttpServer::url(std::string_view target) const {
  return "http://127.0.0.1:" + std::to_string(port()) + std::string(target);
}
std::size_t HttpServer::questions() const noexcept { return impl_->questions; }
std::size_t HttpServer::connections() const noexcept { return impl_->connections; }
std::size_t HttpServer::open() const noexcept { return impl_->open; }

std::uint16_t free_port() {
  asio::io_context context;
  return tcp::acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)).local_endpoint().port();
}

}  // namespace sallyport::io::test
