// Boost.Beast's asynchronous websocket::stream as its own server examples use it, on one thread and
// without authentication.
// bench_beast_echo PORT [CERTIFICATE KEY]

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <utility>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using Tcp = asio::ip::tcp;
using boost::system::error_code;

using PlainStream = websocket::stream<beast::tcp_stream>;
using TlsStream = websocket::stream<beast::ssl_stream<beast::tcp_stream>>;

template <typename Stream>
class Session : public std::enable_shared_from_this<Session<Stream>> {
 public:
  template <typename... Arguments>
  explicit Session(Arguments&&... arguments) : stream_(std::forward<Arguments>(arguments)...) {}

  void run() {
    stream_.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      stream_.next_layer().async_handshake(
          asio::ssl::stream_base::server,
          beast::bind_front_handler(&Session::on_tls, this->shared_from_this()));
    } else {
      accept();
    }
  }

 private:
  void on_tls(error_code error) {
    if (!error) accept();
  }

  void accept() {
    stream_.async_accept(beast::bind_front_handler(&Session::on_accept, this->shared_from_this()));
  }

  void on_accept(error_code error) {
    if (!error) read();
  }

  void read() {
    stream_.async_read(buffer_,
                       beast::bind_front_handler(&Session::on_read, this->shared_from_this()));
  }

  void on_read(error_code error, std::size_t) {
    if (error) return;
    stream_.text(stream_.got_text());
    stream_.async_write(buffer_.data(),
                        beast::bind_front_handler(&Session::on_write, this->shared_from_this()));
  }

  void on_write(error_code error, std::size_t) {
    if (error) return;
    buffer_.consume(buffer_.size());
    read();
  }

  Stream stream_;
  beast::flat_buffer buffer_;
};

class Listener {
 public:
  Listener(asio::io_context& loop, unsigned short port, asio::ssl::context* tls)
      : acceptor_(loop, Tcp::endpoint(asio::ip::address_v4::loopback(), port)), tls_(tls) {}

  [[nodiscard]] unsigned port() const { return acceptor_.local_endpoint().port(); }

  void accept() {
    acceptor_.async_accept([this](error_code error, Tcp::socket socket) {
      if (!error) start(std::move(socket));
      accept();
    });
  }

 private:
  void start(Tcp::socket socket) {
    error_code ignored;
    socket.set_option(Tcp::no_delay(true), ignored);
    if (tls_ != nullptr) {
      std::make_shared<Session<TlsStream>>(std::move(socket), *tls_)->run();
    } else {
      std::make_shared<Session<PlainStream>>(std::move(socket))->run();
    }
  }

  Tcp::acceptor acceptor_;
  asio::ssl::context* tls_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 4) {
    std::fputs("usage: bench_beast_echo PORT [CERTIFICATE KEY]\n", stderr);
    return 2;
  }
  try {
    asio::io_context loop(1);
    asio::ssl::context tls(asio::ssl::context::tls_server);
    if (argc == 4) {
      tls.use_certificate_chain_file(argv[2]);
      tls.use_private_key_file(argv[3], asio::ssl::context::pem);
    }
    Listener listener(loop, static_cast<unsigned short>(std::atoi(argv[1])),
                      argc == 4 ? &tls : nullptr);
    listener.accept();
    std::printf("listening %u\n", listener.port());
    std::fflush(stdout);
    loop.run();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_beast_echo: %s\n", error.what());
    return 1;
  }
}
