#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "core/auth/credentials.h"
#include "core/http/address.h"
#include "core/http/answer.h"
#include "core/http/head.h"
#include "core/http/subprotocol.h"
#include "server/route_table.h"

namespace sallyport::server {

struct Site;

/// A refusal: what the peer is told, and for the log why, without anything secret.
struct Refused {
  Failure failure;
  std::string detail = {};
};

/// A request that may go on to middleware and verifiers.
struct Admitted {
  std::optional<auth::Credential> credential;
  /// A browser's page that the route allows asks: it cannot read an HTTP status.
  bool from_allowed_page = false;
};

struct EntryRequest {
  http::Head& head;                  ///< credentials are taken out of it, whatever the answer is
  http::SubprotocolOffer* offer;     ///< likewise; null where none was made
  const http::IpAddress& address;    ///< of the client, behind proxies
  CredentialSet accepted;
  std::shared_ptr<const std::string> certificate = {};
  /// A browser sends no Origin with a GET to the page's own server, and says so in Sec-Fetch-Site. A handshake
  /// always has one.
  bool plain_get = false;
};

/// Decides what can be decided about a request for a route without asking anybody: credential, Origin, Host,
/// address. Handshakes and the HTTP endpoints that speak for them go through here.
[[nodiscard]] std::expected<Admitted, Refused> enter(const Site& site, const WsRoute& route,
                                                     EntryRequest request);

/// The fields that an HTTP answer to this failure carries.
[[nodiscard]] std::vector<http::AnswerField> fields_of(Failure failure);

}  // namespace sallyport::server
