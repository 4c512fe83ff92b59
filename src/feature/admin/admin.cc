#include "sallyport/admin.h"

#include <expected>
#include <optional>
#include <utility>

#include "core/http/grammar.h"
#include "feature/admin/api.h"
#include "feature/admin/http_server.h"
#include "feature/admin/token_file.h"
#include "io/address.h"
#include "server/events.h"

namespace sallyport {
namespace {

using admin::TokenFile;

class AdminService final : public Service {
 public:
  explicit AdminService(AdminOptions options) : options_(std::move(options)), token_(options_.token_file) {
    for (std::string& host : options_.hosts) host = http::lower_case(host);
  }

  std::expected<std::vector<std::string>, std::string> start(const ServiceHost& host) override {
    log_ = host.log;
    if (options_.token_file.empty()) return std::unexpected("admin: a token_file is needed");
    if (const std::string& fault = token_.refresh(); !fault.empty())
      return std::unexpected("admin: " + fault);
    if (token_.exposed()) {
      server::Event(log_, LogLevel::kWarn, "admin.token_exposed")
          .with("detail", options_.token_file + ": every user of this machine may read it; chmod 600 it");
    }
    if (options_.listen.empty()) return std::unexpected("admin: nothing to listen on");
    api_.emplace(host.app, token_, options_.hosts, log_);
    server_.emplace(host.control, *api_, log_);
    std::vector<std::string> urls;
    for (const std::string& address : options_.listen) {
      const auto endpoint = listen(address);
      if (!endpoint) return std::unexpected(endpoint.error());
      urls.push_back("http://" + endpoint->text());
    }
    return urls;
  }

  void stop() noexcept override {
    server_.reset();
    api_.reset();
  }

 private:
  std::expected<io::Endpoint, std::string> listen(const std::string& address) {
    const auto endpoint = io::parse_endpoint(address);
    if (!endpoint) return std::unexpected("admin: " + endpoint.error());
    if (!endpoint->loopback()) {
      return std::unexpected(
          "admin: \"" + address +
          "\" is not a loopback address, and the admin API speaks plain text; let a tunnel or a "
          "proxy with TLS reach it on this machine");
    }
    return server_->listen(*endpoint);
  }

  AdminOptions options_;
  LogSink log_;
  TokenFile token_;
  std::optional<admin::Api> api_;
  std::optional<admin::HttpServer> server_;
};

}  // namespace

std::shared_ptr<Service> admin_api(AdminOptions options) {
  return std::make_shared<AdminService>(std::move(options));
}

}  // namespace sallyport
