#pragma once

#include <boost/asio/io_context.hpp>

namespace sallyport::io {

/// An io_context whose waiting work can be destroyed before it itself is, while what that work refers to still
/// lives: sockets and timers on the context among it, which may end after that too.
class Context : public boost::asio::io_context {
 public:
  using boost::asio::io_context::io_context;

  /// For good: destroys everything that waits or is queued. Coroutines unwind where they are suspended. No
  /// thread may run the context any more.
  void destroy_waiting() {
    stop();
    shutdown();
  }
};

}  // namespace sallyport::io
