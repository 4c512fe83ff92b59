#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sallyport/service.h"

namespace sallyport {

struct AdminOptions {
  /// "host:port" each, loopback only: the API speaks plain text. Port 0: the kernel chooses.
  std::vector<std::string> listen = {"127.0.0.1:9090"};
  /// Whose contents, without the line end, callers send as `Authorization: Bearer ...`: at least 16 visible
  /// ASCII characters. Read again whenever the file has changed; while it cannot be used nobody is let in.
  std::string token_file;
  /// Names other than loopback's under which a tunnel or a proxy reaches it: "admin.example.com", with a port
  /// to accept that port alone. Whatever comes under another name is refused, so that no page of the web can
  /// reach it by a name of its own that resolves to 127.0.0.1.
  std::vector<std::string> hosts = {};
};

/// The admin API over HTTP with its console and metrics: who is connected, whom to send away, what is
/// counted. For `App::add`. What cannot be meant is told when the app starts.
[[nodiscard]] std::shared_ptr<Service> admin_api(AdminOptions options);

}  // namespace sallyport
