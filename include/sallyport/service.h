#pragma once

#include <expected>
#include <string>
#include <vector>

#include "sallyport/log.h"

namespace boost::asio {
class io_context;
}

namespace sallyport {

namespace server {
class Control;
}

/// What an app lends to its services.
struct ServiceHost {
  boost::asio::io_context& control;  ///< runs on the app's control thread
  LogSink log;
  server::Control& app;              ///< everything that an administrator may ask of the app; on the control thread
};

/// Something that runs beside the listeners for sockets, on the control thread: the admin API for example.
class Service {
 public:
  virtual ~Service() = default;
  /// Opens what it listens on, on the thread that runs the app, before anybody is served. The URLs that it can be
  /// reached under, or why it cannot begin.
  [[nodiscard]] virtual std::expected<std::vector<std::string>, std::string> start(const ServiceHost& host) = 0;
  /// The last thing that an app does with it, when nothing runs on `control` any more: sockets and timers end here.
  virtual void stop() noexcept = 0;
};

}  // namespace sallyport
