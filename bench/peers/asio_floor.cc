// Asio's own floor: readiness waits on Asio's loop, one direct receive and one direct send for each
// message. The difference to bench_epoll_floor is what Asio costs.
// bench_asio_floor PORT

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <memory>

#include "bench/peers/floor_protocol.h"

namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Descriptor = asio::posix::basic_stream_descriptor<asio::io_context::executor_type>;
using sallyport::bench::FloorConnection;

class Connection {
 public:
  Connection(asio::io_context& loop, int fd) : connection_(fd), readiness_(loop, fd) {}
  ~Connection() { readiness_.release(); }  // the socket is connection_'s to close
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  static void wait(std::unique_ptr<Connection> self) {
    Descriptor& readiness = self->readiness_;
    readiness.async_wait(Descriptor::wait_read, [self = std::move(self)](error_code error) mutable {
      if (!error && self->connection_.on_readable()) wait(std::move(self));
    });
  }

 private:
  FloorConnection connection_;
  Descriptor readiness_;
};

void accept(asio::io_context& loop, Descriptor& listener) {
  listener.async_wait(Descriptor::wait_read, [&](error_code) {
    for (int fd = -1; (fd = sallyport::bench::floor_accept(listener.native_handle())) >= 0;) {
      Connection::wait(std::make_unique<Connection>(loop, fd));
    }
    accept(loop, listener);
  });
}

}  // namespace

int main(int argc, char** argv) {
  asio::io_context loop(1);
  Descriptor listener(loop, sallyport::bench::floor_listen(argc, argv));
  accept(loop, listener);
  loop.run();
}
