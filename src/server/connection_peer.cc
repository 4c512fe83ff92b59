// Who is at the other end: what trusted proxies say of the client's address, and why a TLS handshake failed.

#include "core/http/forwarded.h"
#include "core/http/proxy_protocol.h"
#include "server/connection.h"
#include "server/events.h"
#include "server/handshake.h"
#include "server/worker.h"

namespace sallyport::server {

// False: wait for more, or the connection has gone. The header is taken and nothing of what follows it, which may
// be TLS.
bool Connection::take_proxy_header(bool peer_closed) {
  const std::span<char> buffer = worker_.receive_buffer().first(http::kProxyHeaderBytesMax);
  const io::IoResult got = stream_.peek(buffer);
  if (got.status == io::IoStatus::kWantRead) return false;
  if (got.status != io::IoStatus::kOk) {
    lost();
    return false;
  }
  const http::ProxyHeader header = http::parse_proxy_header({buffer.data(), got.bytes});
  switch (header.kind) {
    case http::ProxyHeader::Kind::kNeedMore:
      // The bytes stay where they are, so the poller would report them for ever.
      stream_.readable_from(header.bytes);
      if (peer_closed) lost();
      return false;
    case http::ProxyHeader::Kind::kMalformed:
      Event(worker_.shared().options.log, LogLevel::kWarn, "proxy.header_malformed")
          .with("address", address_.text());
      lost();
      return false;
    case http::ProxyHeader::Kind::kAbsent: break;
    case http::ProxyHeader::Kind::kPresent:
      if (!stream_.skip(header.bytes)) {
        lost();
        return false;
      }
      if (header.source && !set_client(*header.source)) {
        evict(Failure::kTooManyRequests);
        return false;
      }
      break;
  }
  stream_.readable_from(1);
  proxy_header_due_ = false;
  return true;
}

// The request head is there. Says why the request is refused, if it is.
std::optional<Failure> Connection::settle_address() {
  if (!proxied_) return std::nullopt;
  const http::Head& head = handshake_->request().head;
  const auto x_forwarded_for = head.find_all("x-forwarded-for");
  const auto forwarded = head.find_all("forwarded");
  const auto client =
      http::client_address(address_, worker_.site()->trusted_proxies,
                           {.x_forwarded_for = x_forwarded_for, .forwarded = forwarded});
  if (!client) {
    handshake_->set_detail("X-Forwarded-For and Forwarded name different addresses");
    return Failure::kBadRequest;
  }
  if (set_client(*client)) return std::nullopt;
  handshake_->set_detail("too many connections of this address that have not authenticated");
  return Failure::kTooManyRequests;
}

// From here on `address` is who the client is. False if it has too many connections already.
bool Connection::set_client(const http::IpAddress& address) {
  address_ = address;
  handshake_->request().address = address;
  if (http::contains(worker_.site()->trusted_proxies, address)) return true;
  proxied_ = false;
  return worker_.attribute(*this, address);
}

// Refused certificates are news where certificates are how clients prove who they are; noise on the port is not.
void Connection::log_tls_failure(std::string_view why) {
  const bool asks = worker_.site()->asks_for_certificates;
  Event(worker_.shared().options.log, asks ? LogLevel::kInfo : LogLevel::kDebug, "tls.handshake_failed")
      .with("address", address_.text())
      .with("detail", why);
}

}  // namespace sallyport::server
