#pragma once

#include <any>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http/address.h"
#include "core/http/head.h"
#include "core/http/route_pattern.h"
#include "sallyport/request.h"

namespace sallyport::server {

/// 128 random bits that name a connection.
using ConnectionId = std::array<std::uint8_t, 16>;
[[nodiscard]] std::string text_of(const ConnectionId& id);
/// The other way round; nothing if the text names none.
[[nodiscard]] std::optional<ConnectionId> connection_id(std::string_view text);
/// The part of it that an index goes by.
[[nodiscard]] inline std::uint64_t name_of(const ConnectionId& id) noexcept {
  std::uint64_t name = 0;
  std::memcpy(&name, id.data(), sizeof name);
  return name;
}

/// What stands behind a `Request`. After opening, a connection keeps it only as far as something needs it.
class RequestState {
 public:
  http::Head head;
  std::vector<http::RouteParam> params;
  std::map<std::string, std::any, std::less<>> locals;
  std::optional<Response> response;
  http::IpAddress address;
  ConnectionId id{};
  const LogSink* log = nullptr;

  [[nodiscard]] std::string_view param(std::string_view name) const noexcept;
  [[nodiscard]] const std::any* local(std::string_view name) const;
};

}  // namespace sallyport::server
